/**
 * A dependency that the test plays: it answers each call by hand or from a script, and sees who calls and who gives up.
 *
 * It uses no time of its own, so it works under `TestClock`, a virtual clock and the live clock.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"

/**
 * @since 0.1.0
 * @category models
 */
export interface ScriptedDependency<Request, A, E> {
  /** What the code under test calls. */
  readonly call: (request: Request) => Effect.Effect<A, E>
  /** Waits for the next call that no script answered, in the order of the calls. Each call is handed out once. */
  readonly expect: Effect.Effect<Received<Request, A, E>>
  /**
   * Appends answers for the calls to come, one each. An answer is an effect: `Effect.succeed`, `Effect.fail`,
   * `Effect.die`, `Effect.never` for a call that hangs, `Effect.delay(answer, "1 second")` for a slow one. Once a
   * script was given, a call beyond its end dies with `ScriptExhausted`.
   */
  readonly script: (answers: Iterable<Effect.Effect<A, E>>) => Effect.Effect<void>
  /**
   * Dies with `ScriptUnfinished` if a call was never handed to the test or never answered, is still in flight, or if answers of
   * the script are left: put it at the end of a test.
   */
  readonly finished: Effect.Effect<void>
  /** How many calls were made. */
  readonly calls: () => number
  /** What was asked for, in the order of the calls. */
  readonly requests: () => ReadonlyArray<Request>
  /** How many calls have neither ended nor been interrupted. */
  readonly inFlight: () => number
  /** The most calls that were ever in flight at once. */
  readonly mostInFlight: () => number
}

/**
 * A call that waits for the test to answer. A second answer is a defect of the test; an answer to a call that was
 * interrupted is lost, as it is on a real connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Received<Request, A, E> {
  readonly request: Request
  /** The number of the call, from 1. */
  readonly number: number
  readonly succeed: (value: A) => Effect.Effect<void>
  readonly fail: (error: E) => Effect.Effect<void>
  readonly die: (defect: unknown) => Effect.Effect<void>
  /** Never answers; the call ends only by interruption. */
  readonly hang: Effect.Effect<void>
  /**
   * Hangs until the caller interrupts the call, and then succeeds all the same, `after` that (default 0): a call that
   * cannot be stopped any more.
   */
  readonly succeedLate: (value: A, after?: Duration.DurationInput) => Effect.Effect<void>
  /** The same with a failure. */
  readonly failLate: (error: E, after?: Duration.DurationInput) => Effect.Effect<void>
  /** Completes when the caller has interrupted the call. */
  readonly interrupted: Effect.Effect<void>
}

/**
 * The defect of a call for which the script has no answer left.
 *
 * @example
 * import * as ScriptedDependency from "@holdfast/testkit/ScriptedDependency"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const payments = yield* ScriptedDependency.make<string, number>()
 *   yield* payments.script([Effect.succeed(42)])
 *   yield* payments.call("order 1")
 *   yield* payments.call("order 2")
 * }).pipe(Effect.catchAllDefect((defect) => Effect.succeed(defect instanceof ScriptedDependency.ScriptExhausted)))
 *
 * Effect.runPromise(program).then(console.log) // true
 *
 * @since 0.1.0
 * @category errors
 */
export class ScriptExhausted extends Error {
  readonly _tag = "ScriptExhausted"
  override readonly name = "ScriptExhausted"
}

/**
 * The defect of `finished`: the code under test asked for more than was answered, or for less than was scripted.
 *
 * @example
 * import * as ScriptedDependency from "@holdfast/testkit/ScriptedDependency"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const payments = yield* ScriptedDependency.make<string, number>()
 *   yield* payments.script([Effect.succeed(42)])
 *   yield* payments.finished
 * }).pipe(Effect.catchAllDefect((defect) => Effect.succeed(String(defect))))
 *
 * Effect.runPromise(program).then(console.log) // ScriptUnfinished: 1 answer of the script was not asked for
 *
 * @since 0.1.0
 * @category errors
 */
export class ScriptUnfinished extends Error {
  readonly _tag = "ScriptUnfinished"
  override readonly name = "ScriptUnfinished"
}

interface Pending<A, E> {
  /** The answer, itself an effect that the caller's fiber runs. */
  readonly answer: Deferred.Deferred<Effect.Effect<A, E>>
  readonly interrupted: Deferred.Deferred<void>
  late: Effect.Effect<A, E> | undefined
}

/**
 * Makes a dependency that waits for the test.
 *
 * @example
 * import * as ScriptedDependency from "@holdfast/testkit/ScriptedDependency"
 * import * as Effect from "effect/Effect"
 * import * as Fiber from "effect/Fiber"
 *
 * const program = Effect.gen(function*() {
 *   const payments = yield* ScriptedDependency.make<string, number, "busy">()
 *   const fiber = yield* Effect.fork(Effect.retry(payments.call("order 1"), { times: 1 }))
 *   const first = yield* payments.expect
 *   yield* first.fail("busy")
 *   const second = yield* payments.expect
 *   yield* second.succeed(42)
 *   return yield* Fiber.join(fiber)
 * })
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <Request, A, E = never>(): Effect.Effect<ScriptedDependency<Request, A, E>> =>
  Effect.sync(() => {
    const received: Array<Received<Request, A, E>> = []
    const expecting: Array<(call: Received<Request, A, E>) => void> = []
    const answers: Array<Effect.Effect<A, E>> = []
    const requests: Array<Request> = []
    let scripted = 0
    let inFlight = 0
    let mostInFlight = 0

    const expect = Effect.async<Received<Request, A, E>>((resume) => {
      const take = (call: Received<Request, A, E>) => resume(Effect.succeed(call))
      const call = received.shift()
      if (call !== undefined) return take(call)
      expecting.push(take)
      return Effect.sync(() => {
        const place = expecting.indexOf(take)
        if (place >= 0) expecting.splice(place, 1)
      })
    })

    const handOut = (request: Request, number: number, pending: Pending<A, E>) => {
      let answered = false
      const once = (act: () => void) =>
        Effect.suspend(() => {
          if (answered) return Effect.dieMessage(`call ${number} of the scripted dependency was answered already`)
          answered = true
          return Effect.sync(act)
        })
      const answer = (effect: Effect.Effect<A, E>) =>
        once(() => Deferred.unsafeDone(pending.answer, Exit.succeed(effect)))
      const late = (effect: Effect.Effect<A, E>, after: Duration.DurationInput | undefined) =>
        once(() => {
          pending.late = after === undefined ? effect : Effect.delay(effect, after)
        })
      const call: Received<Request, A, E> = {
        request,
        number,
        succeed: (value) => answer(Effect.succeed(value)),
        fail: (error) => answer(Effect.fail(error)),
        die: (defect) => answer(Effect.die(defect)),
        hang: once(() => {}),
        succeedLate: (value, after) => late(Effect.succeed(value), after),
        failLate: (error, after) => late(Effect.fail(error), after),
        interrupted: Deferred.await(pending.interrupted)
      }
      const take = expecting.shift()
      if (take === undefined) received.push(call)
      else take(call)
    }

    const begin = (request: Request, pending: Pending<A, E>): Effect.Effect<A, E> => {
      const number = requests.push(request)
      mostInFlight = Math.max(mostInFlight, ++inFlight)
      if (scripted === 0) {
        handOut(request, number, pending)
        return Effect.flatten(Deferred.await(pending.answer))
      }
      return answers.shift() ?? Effect.die(
        new ScriptExhausted(
          `the script had ${scripted} ${scripted === 1 ? "answer" : "answers"}, and call ${number} found none left; ` +
            `its request: ${Inspectable.toStringUnknown(request, 0)}`
        )
      )
    }

    const call = (request: Request): Effect.Effect<A, E> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.withFiberRuntime<A, E>((fiber) => {
          const pending: Pending<A, E> = {
            answer: Deferred.unsafeMake(fiber.id()),
            interrupted: Deferred.unsafeMake(fiber.id()),
            late: undefined
          }
          return Effect.flatMap(Effect.exit(restore(begin(request, pending))), (exit) => {
            const interrupted = Exit.isInterrupted(exit)
            if (interrupted) Deferred.unsafeDone(pending.interrupted, Exit.void)
            return Effect.ensuring(
              interrupted && pending.late !== undefined ? pending.late : exit,
              Effect.sync(() => inFlight--)
            )
          })
        })
      )

    return {
      call,
      expect,
      script: (more) =>
        Effect.sync(() => {
          for (const answer of more) {
            scripted++
            answers.push(answer)
          }
        }),
      finished: Effect.suspend(() => {
        const left = [
          [received.length, "call was not expected", "calls were not expected"],
          [inFlight, "call is in flight", "calls are in flight"],
          [answers.length, "answer of the script was not asked for", "answers of the script were not asked for"]
        ] as const
        const wrong = left.flatMap(([count, one, many]) => count === 0 ? [] : [`${count} ${count === 1 ? one : many}`])
        return wrong.length === 0 ? Effect.void : Effect.die(new ScriptUnfinished(wrong.join("; ")))
      }),
      calls: () => requests.length,
      requests: () => requests,
      inFlight: () => inFlight,
      mostInFlight: () => mostInFlight
    }
  })
