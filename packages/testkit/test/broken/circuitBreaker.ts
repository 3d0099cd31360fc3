import * as Core from "@holdfast/core/CircuitBreaker"
import * as Failure from "@holdfast/core/Failure"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as ScriptedDependency from "@holdfast/testkit/ScriptedDependency"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { bug, ofSweep, type Protect } from "./bug.js"

class Busy extends Failure.Retryable("Busy")<{}> {}

const settings = { failures: 2, openMillis: 1000 }

const real = (): Effect.Effect<Protect> =>
  Core.make({
    name: "payments",
    tripPolicy: Core.consecutive(settings.failures),
    openDuration: settings.openMillis,
    openJitter: 0
  })

/** Opens after failures in a row, rests, and lets one probe through. */
class Breaker {
  private state: "closed" | "open" | "probing" = "closed"
  private failures = 0
  private dueAt = 0
  private generation = 0
  private readonly forgetsGenerations: boolean

  constructor(forgetsGenerations: boolean) {
    this.forgetsGenerations = forgetsGenerations
  }

  enter(now: number): number | undefined {
    if (this.state === "probing" || (this.state === "open" && now < this.dueAt)) return undefined
    if (this.state === "open") this.move("probing")
    return this.generation
  }

  end(ticket: number, failed: boolean, now: number) {
    if (ticket !== this.generation && !this.forgetsGenerations) return
    if (!failed) {
      this.failures = 0
      if (this.state === "probing") this.move("closed")
    } else if (this.state === "probing" || ++this.failures >= settings.failures) {
      this.dueAt = now + settings.openMillis
      this.move("open")
    }
  }

  private move(state: "closed" | "open" | "probing") {
    this.state = state
    this.failures = 0
    this.generation++
  }
}

const protecting = (
  breaker: Breaker,
  watch: <A, E>(effect: Effect.Effect<A, E>, ended: (failed: boolean) => Effect.Effect<void>) => Effect.Effect<A, E>
): Protect =>
(effect) =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const ticket = breaker.enter(clock.unsafeCurrentTimeMillis())
    if (ticket === undefined) return yield* Effect.fail("CircuitOpen")
    const ended = (failed: boolean) => Effect.sync(() => breaker.end(ticket, failed, clock.unsafeCurrentTimeMillis()))
    return yield* watch(effect, ended)
  })

/** An interruption is neither: it goes by. */
const onAnswer = <A, E>(effect: Effect.Effect<A, E>, ended: (failed: boolean) => Effect.Effect<void>) =>
  Effect.tapBoth(effect, { onFailure: () => ended(true), onSuccess: () => ended(false) })

const fail = (protect: Protect) => Effect.exit(protect(Effect.fail(new Busy())))

export const probeLeaks = bug<Protect>({
  policy: "CircuitBreaker",
  title: "an interrupted probe keeps its slot",
  tool: "OperationSweep",
  broken: () => Effect.sync(() => protecting(new Breaker(false), onAnswer)),
  real,
  check: (make) =>
    Effect.map(
      OperationSweep.run({
        // Open, and due for a probe.
        make: () =>
          Effect.tap(make(), (protect) =>
            fail(protect).pipe(Effect.zipRight(fail(protect)), Effect.zipRight(Effect.sleep(settings.openMillis + 1)))),
        body: (protect) =>
          protect(Effect.sleep(10)),
        check: (protect) =>
          Effect.map(
            Effect.exit(protect(Effect.void)),
            (exit) =>
              Exit.isSuccess(exit) ? "" : "no call is let through any more: the slot of the probe is lost"
          )
      }),
      ofSweep
    )
})

export const lateResult = bug<Protect>({
  policy: "CircuitBreaker",
  title: "the late answer of a call from before it opened counts",
  tool: "ScriptedDependency",
  broken: () =>
    Effect.sync(() =>
      protecting(new Breaker(true), (effect, ended) => Effect.onExit(effect, (exit) => ended(Exit.isFailure(exit))))
    ),
  real,
  check: (make) =>
    Effect.gen(function*() {
      const protect = yield* make()
      const payments = yield* ScriptedDependency.make<string, string, Busy>()
      const call = (request: string) => Effect.fork(protect(payments.call(request)))
      yield* call("slow")
      const slow = yield* payments.expect
      for (const request of ["first", "second"]) {
        yield* call(request)
        yield* Effect.flatMap(payments.expect, (received) => received.fail(new Busy()))
      }
      yield* Effect.sleep(settings.openMillis + 1)
      yield* call("probe")
      yield* payments.expect
      yield* slow.succeed("at last")
      yield* Effect.sleep(1)
      yield* call("next")
      yield* Effect.sleep(1)
      return payments.calls() === 4
        ? ""
        : `call ${payments.calls()} reached the dependency while its probe was under way: ` +
          "the answer of call 1, from before the circuit opened, has closed it"
    }).pipe(VirtualClock.run)
})
