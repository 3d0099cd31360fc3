import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Failure from "@holdfast/core/Failure"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as TripPolicy from "@holdfast/core/TripPolicy"
import * as cockatiel from "cockatiel"
import * as Effect from "effect/Effect"
import { breakerByHand } from "../contenders/effects.js"
import { cockatielParts, opossumOpen } from "../contenders/promises.js"
import { type Group, inAll } from "../Group.js"
import { measure } from "../measure.js"
import * as styles from "../styles.js"

const { effect, promise } = styles.asynchronous

class Down extends Failure.Retryable("Down")<{}> {}

/** Fails until the breaker has tripped, and makes sure that it has. */
const openEffect = (policy: Policy.Policy<unknown>, tag: string): void => {
  const fail = Effect.flip(policy(Effect.fail(new Down())))
  let last: unknown
  for (let made = 0; made < 20; made++) {
    last = Effect.runSync(fail)
  }
  if ((last as { readonly _tag?: unknown })._tag !== tag) {
    throw new Error(`the breaker is not open: ${String(last)}`)
  }
}

const openPromise = async (call: (operation: () => Promise<number>) => Promise<unknown>): Promise<void> => {
  for (let made = 0; made < 20; made++) {
    await call(() => Promise.reject(new Error("down"))).catch(() => {})
  }
}

const consecutive = { tripPolicy: TripPolicy.consecutive(10), openDuration: "1 hour" } as const

const openBreaker = (name: string) => {
  const breaker = Effect.runSync(CircuitBreaker.make({ name, ...consecutive }))
  openEffect(breaker, "CircuitOpen")
  return breaker
}

const openStandard = () => {
  const policy = Effect.runSync(Policy.standard("open", { circuitBreaker: consecutive, retry: false }))
  openEffect(policy, "CircuitOpen")
  return policy
}

/** The caller sees the rejection and goes on. */
const caught = (self: Effect.Effect<number, unknown>) => Effect.catchAll(self, () => Effect.succeed(-1))

export const group: Group = {
  name: "rejected",
  title: "a call rejected by an open circuit, the rejection caught by the caller",
  columns: inAll,
  run: async (settings) => {
    const breaker = openBreaker("open")
    const standard = openStandard()
    const byHand = breakerByHand(10)
    const { breaker: theirsOf } = cockatielParts
    const theirs = theirsOf()
    await openPromise((operation) => theirs.execute(operation))
    if (theirs.state !== cockatiel.CircuitState.Open) {
      throw new Error("cockatiel's breaker is not open")
    }
    const opossum = opossumOpen()
    let heard = 0
    const listen = ResilienceEvent.listen(() => {
      heard++
    })
    const figures = await measure([
      styles.inOneFiber("breaker", () => caught(breaker(effect()))),
      styles.inOneFiber("breaker, one listener", () => caught(breaker(effect())), listen),
      styles.inOneFiber("standard", () => caught(standard(effect()))),
      styles.inOneFiber("a Ref, by hand", () => caught(byHand(effect()))),
      styles.awaited("cockatiel", () => theirs.execute(promise).catch(() => -1)),
      styles.awaited("opossum", () => opossum(promise).catch(() => -1))
    ], settings)
    if (heard === 0) {
      throw new Error("the listener heard nothing")
    }
    return { "open circuit": figures }
  }
}
