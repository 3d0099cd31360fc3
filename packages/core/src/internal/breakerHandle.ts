/**
 * What a circuit breaker is beside its gate: read, watched and moved by hand. It stands once for all breakers, since a program may keep
 * one breaker for each of many keys.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Subscribable from "effect/Subscribable"
import * as Alarm from "../Alarm.js"
import type { Snapshot, State } from "../CircuitBreakerMachine.js"
import type * as Failure from "../Failure.js"
import { withChange } from "../Options.js"
import * as Step from "../Step.js"
import { announce } from "./announce.js"
import type { BreakerGate, Transition } from "./breakerGate.js"
import * as settings from "./breakerOptions.js"

/** The gate and the options of a breaker hide behind this key. */
const HandleId: unique symbol = Symbol.for("@holdfast/core/CircuitBreaker/handle")

interface Options {
  readonly name: string
  readonly dependency?: string | undefined
  readonly when?: Failure.When | undefined
  readonly classify?: Failure.Classify | undefined
}

interface Handle {
  readonly gate: BreakerGate
  options: Options
}

const byHand = ({ gate }: Handle, move: (now: number) => void): Effect.Effect<void> =>
  Clock.clockWith((clock) =>
    Effect.withFiberRuntime((fiber) => {
      const { machine } = gate
      const now = Alarm.of(clock).now()
      const from = machine.state
      move(now)
      if (machine.state !== from) {
        gate.hub.publish({ from, to: machine.state })
        announce(fiber, () => gate.event(machine.state, now, undefined))
      }
      return Effect.void
    })
  )

const replace = (handle: Handle, by: () => Options): Effect.Effect<void> =>
  Effect.suspend(() => {
    const options = by()
    return Effect.flatMap(settings.check(options), ({ config, described }) =>
      Clock.clockWith((clock) =>
        Effect.sync(() => {
          handle.options = options
          handle.gate.reconfigure(config, described, Alarm.of(clock).now())
        })
      ))
  })

const transitions = ({ gate }: Handle): Stream.Stream<Transition> =>
  Stream.unwrap(Effect.map(gate.hub.pubSub, (pubSub) => Stream.fromPubSub(pubSub)))

const stateOf = ({ gate }: Handle): Subscribable.Subscribable<State> => {
  const get = Effect.sync(() => gate.machine.state)
  return Subscribable.make({
    get,
    // Subscribed before the present is read, so that no state is lost between; one that is in both is told once.
    changes: Stream.changesWith(
      Stream.unwrapScoped(
        Effect.map(
          Effect.flatMap(gate.hub.pubSub, (pubSub) => Stream.fromPubSub(pubSub, { scoped: true })),
          (later) => Stream.concat(Stream.fromEffect(get), Stream.map(later, ({ to }) => to))
        )
      ),
      (left, right) => right.generation <= left.generation
    )
  })
}

/** The members of a breaker, each made from its handle when it is asked for. */
const members = {
  state: stateOf,
  transitions,
  hub: ({ gate }: Handle) => gate.hub.pubSub,
  snapshot: ({ gate }: Handle): Effect.Effect<Snapshot> =>
    Clock.clockWith((clock) => Effect.sync(() => gate.machine.snapshot(Alarm.of(clock).now()))),
  isolate: (handle: Handle) => byHand(handle, (now) => handle.gate.machine.isolate(now)),
  disable: (handle: Handle) => byHand(handle, (now) => handle.gate.machine.disable(now)),
  reset: (handle: Handle) => byHand(handle, (now) => handle.gate.machine.reset(now)),
  reconfigure: (handle: Handle) => (change: object) =>
    replace(handle, () => withChange<Options>(handle.options, change)),
  renumber: (handle: Handle) => (numbers: object) =>
    replace(handle, () => {
      const { classify, dependency, name, when } = handle.options
      return { ...numbers, name, dependency, when, classify }
    })
}

const prototype: object = Object.create(
  Step.prototype,
  Object.fromEntries(
    Object.entries(members).map(([name, of]) => [name, {
      enumerable: true,
      get(this: { readonly [HandleId]: Handle }) {
        return of(this[HandleId])
      }
    }])
  )
)

type Members = { readonly [Name in keyof typeof members]: ReturnType<(typeof members)[Name]> }

/** @internal */
export const make = <E>(gate: BreakerGate, options: Options): Step.Policy<E> & Members => {
  const handle: Handle = { gate, options }
  return Object.defineProperty(Step.policy<E>([gate], prototype), HandleId, { value: handle }) as
    & Step.Policy<E>
    & Members
}
