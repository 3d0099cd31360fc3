/**
 * The instant by which an answer is worth something: absolute, inherited by forks, never moved further away.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import { dual, identity } from "effect/Function"
import { globalValue } from "effect/GlobalValue"
import * as Option from "effect/Option"
import * as Alarm from "./Alarm.js"
import { millisOf, Validation } from "./Options.js"

/**
 * An instant of one alarm queue: two clocks do not share their present, so an instant is worth nothing without its queue.
 *
 * @since 0.1.0
 * @category models
 */
export interface Deadline {
  /** Milliseconds of the queue's clock. */
  readonly at: number
  /** @internal */
  readonly alarms: Alarm.Alarms
}

/**
 * The deadline of the fiber. Forks inherit it, joins do not bring it back.
 *
 * @internal
 */
export const current: FiberRef.FiberRef<Deadline | undefined> = globalValue(
  Symbol.for("@holdfast/core/Deadline/current"),
  () => FiberRef.unsafeMake<Deadline | undefined>(undefined, { fork: identity, join: (parent) => parent })
)

/**
 * The deadline of a fiber in milliseconds of the given queue, Infinity without one.
 *
 * @internal
 */
export const instantFor = (deadline: Deadline | undefined, alarms: Alarm.Alarms): number =>
  deadline === undefined
    ? Infinity
    : deadline.alarms === alarms
    ? deadline.at
    : alarms.now() + (deadline.at - deadline.alarms.now())

/**
 * How long is left for a fiber that runs, in milliseconds: `remaining` without an operation, for whoever holds the fiber. `Infinity`
 * without a deadline, zero when it has passed.
 *
 * @example
 * import * as Deadline from "@holdfast/core/Deadline"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.withFiberRuntime<string>((fiber) => Effect.succeed(`${Deadline.unsafeRemaining(fiber)} ms`))
 *
 * Effect.runPromise(program).then(console.log) // "Infinity ms"
 *
 * @since 0.1.0
 * @category accessors
 */
export const unsafeRemaining = (fiber: Fiber.RuntimeFiber<any, any>): number => {
  const deadline = fiber.getFiberRef(current)
  return deadline === undefined ? Infinity : Math.max(0, deadline.at - deadline.alarms.now())
}

/**
 * How long is left; `None` without a deadline, zero when it has passed.
 *
 * @example
 * import * as Deadline from "@holdfast/core/Deadline"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.flatMap(Deadline.remaining, (left) => Effect.log(left)).pipe(Deadline.within("2 seconds"))
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category accessors
 */
export const remaining: Effect.Effect<Option.Option<Duration.Duration>> = Effect.withFiberRuntime((fiber) => {
  const millis = unsafeRemaining(fiber)
  return Effect.succeed(millis === Infinity ? Option.none() : Option.some(Duration.millis(millis)))
})

/**
 * Runs the effect under a deadline from now, or under the inherited one if that is nearer. The effect itself is not interrupted
 * when the deadline passes: the policies inside it refuse, cut their waits and give up their retries.
 * What is left of somebody else's time may be nothing: a negative duration is a deadline that has passed, an infinite one sets none.
 *
 * @example
 * import * as Deadline from "@holdfast/core/Deadline"
 * import * as Effect from "effect/Effect"
 *
 * const handler = Effect.succeed("order").pipe(Deadline.within("5 seconds"))
 *
 * Effect.runPromise(handler)
 *
 * @since 0.1.0
 * @category combinators
 */
export const within: {
  (duration: Duration.DurationInput): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, duration: Duration.DurationInput): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, duration: Duration.DurationInput): Effect.Effect<A, E, R> => {
  const millis = millisOf(duration)
  return millis === Infinity ? self : Clock.clockWith((clock) => {
    if (Number.isNaN(millis)) {
      const check = new Validation("Deadline.within")
      check.add("duration", duration, "a duration, such as \"2 seconds\"")
      check.done()
    }
    const alarms = Alarm.of(clock)
    const at = alarms.now() + Math.max(0, millis)
    return Effect.locallyWith(
      self,
      current,
      (inherited) => instantFor(inherited, alarms) <= at ? inherited : { at, alarms }
    )
  })
})

/**
 * Runs the effect without any deadline: background work that must outlive its caller, such as the confirmation mail of an order.
 *
 * @example
 * import * as Deadline from "@holdfast/core/Deadline"
 * import * as Effect from "effect/Effect"
 *
 * const sendMail = Effect.log("mail sent")
 * const order = Effect.forkDaemon(Deadline.detached(sendMail)).pipe(Deadline.within("2 seconds"))
 *
 * Effect.runPromise(order)
 *
 * @since 0.1.0
 * @category combinators
 */
export const detached = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.locally(self, current, undefined)
