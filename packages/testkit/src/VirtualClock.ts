/**
 * A clock for tests whose time moves only when it is told to, or by itself whenever every fiber is idle.
 *
 * `TestClock` spends milliseconds of real time on each adjustment; this one spends microseconds, so a scenario of an
 * hour with thousands of steps takes some milliseconds.
 *
 * Idle means: the clock's own scheduler has no task left to run, and for `quietTurns` macrotask turns in a row no task
 * was scheduled and no sleeper was added, woken or cancelled. A program that waits only for Effect time is therefore
 * run the same way each time. A program that waits for real input or output may be taken for idle too early: raise
 * `quietTurns` for it, or use the live clock.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Scheduler from "effect/Scheduler"

declare const setImmediate: (task: () => void) => unknown

/**
 * @since 0.1.0
 * @category models
 */
export interface VirtualClock {
  /** The clock to provide, with `Effect.withClock` or with `provide`. */
  readonly clock: Clock.Clock
  /** The scheduler that knows which fibers still have something to run. Fibers on another one are seen less exactly. */
  readonly scheduler: TurnScheduler
  /** The current time in milliseconds. */
  readonly now: () => number
  /** How many sleeps and scheduled tasks wait for a later instant. */
  readonly sleepers: () => number
  /** The instant of the sleeper that wakes next, in milliseconds; `undefined` if nobody sleeps for a finite time. */
  readonly next: () => number | undefined
  /** Waits, without moving time, until every fiber is idle. */
  readonly runToIdle: Effect.Effect<void>
  /** Moves time to the next sleeper, wakes it and runs to idle; `false` if nobody sleeps for a finite time. */
  readonly step: Effect.Effect<boolean>
  /** Runs to idle, then moves time forwards, waking one sleeper after another, each at its own instant. */
  readonly advance: (duration: Duration.DurationInput) => Effect.Effect<void>
  /**
   * Sets the time in milliseconds at once, as a clock step or a suspended machine does. Sleepers keep their instants:
   * a step backwards makes them wait longer, and those passed over by a step forwards wake in order, all late.
   */
  readonly set: (millis: number) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface TurnScheduler extends Scheduler.Scheduler {
  /** How many tasks were scheduled and have not run yet. */
  readonly ready: () => number
  /** Runs a task `turns` macrotask turns from now; it counts as ready until then. */
  readonly later: (turns: number, task: Scheduler.Task) => void
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The time at the beginning, in milliseconds. Default 0. */
  readonly start?: number
  /** How many macrotask turns must pass without any activity before all is taken for idle. Default 2. */
  readonly quietTurns?: number
  /** After how many turns without an idle moment `runToIdle` ends with the defect `Deadlock`. Default 1,000,000. */
  readonly maximumTurns?: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface RunOptions extends Options {
  /** How many sleepers may be woken before the effect counts as endless. Default 1,000,000. */
  readonly maximumSteps?: number
}

/**
 * The effect can never end: everything is idle and nobody sleeps, or it was still busy after the greatest number of
 * steps or turns. A defect, because it is a fault of the test or of the code under test, never an answer.
 *
 * @example
 * import * as VirtualClock from "@holdfast/testkit/VirtualClock"
 * import * as Effect from "effect/Effect"
 *
 * const program = VirtualClock.run(Effect.never).pipe(
 *   Effect.catchAllDefect((defect) => Effect.succeed(defect instanceof VirtualClock.Deadlock))
 * )
 *
 * Effect.runPromise(program).then(console.log) // true
 *
 * @since 0.1.0
 * @category errors
 */
export class Deadlock extends Error {
  readonly _tag = "Deadlock"
  override readonly name = "Deadlock"
}

class Turns extends Scheduler.MixedScheduler implements TurnScheduler {
  activity = 0
  private waiting = 0

  constructor() {
    super(2048)
  }

  readonly ready = () => this.waiting

  private counted(task: Scheduler.Task): Scheduler.Task {
    this.waiting++
    this.activity++
    return () => {
      this.waiting--
      this.activity++
      task()
    }
  }

  override scheduleTask(...[task, priority, fiber]: Parameters<Scheduler.MixedScheduler["scheduleTask"]>) {
    super.scheduleTask(this.counted(task), priority, fiber)
  }

  readonly later = (turns: number, task: Scheduler.Task) => {
    const run = this.counted(task)
    const turn = (left: number): unknown => left <= 0 ? run() : setImmediate(() => turn(left - 1))
    setImmediate(() => turn(turns - 1))
  }
}

interface Sleeper {
  readonly instant: number
  readonly wake: () => void
}

/**
 * Makes a virtual clock.
 *
 * @example
 * import * as VirtualClock from "@holdfast/testkit/VirtualClock"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const time = yield* VirtualClock.make()
 *   const fiber = yield* Effect.fork(Effect.sleep("1 hour").pipe(VirtualClock.provide(time)))
 *   yield* time.advance("1 hour")
 *   return fiber.unsafePoll() // an exit: the sleep is over
 * })
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: Options): Effect.Effect<VirtualClock> =>
  Effect.sync((): VirtualClock => {
    const quietTurns = options?.quietTurns ?? 2
    const maximumTurns = options?.maximumTurns ?? 1_000_000
    const scheduler = new Turns()
    const sleepers: Array<Sleeper> = []
    let now = options?.start ?? 0

    const schedule = (task: () => void, millis: number): Clock.CancelToken => {
      let waiting = true
      const wake = () => {
        if (waiting) {
          waiting = false
          task()
        }
      }
      if (millis <= 0) {
        // Time need not move for this one, but the others get their turn first, as with a timer of the live clock.
        scheduler.scheduleTask(wake, 0)
        return () => waiting && !(waiting = false)
      }
      const sleeper: Sleeper = { instant: now + millis, wake }
      let low = 0
      let high = sleepers.length
      while (low < high) {
        const middle = (low + high) >>> 1
        if (sleepers[middle]!.instant <= sleeper.instant) low = middle + 1
        else high = middle
      }
      sleepers.splice(low, 0, sleeper)
      scheduler.activity++
      return () => {
        if (!waiting) return false
        waiting = false
        scheduler.activity++
        sleepers.splice(sleepers.indexOf(sleeper), 1)
        return true
      }
    }

    const nanos = () => {
      const whole = Math.floor(now)
      return BigInt(whole) * 1_000_000n + BigInt(Math.round((now - whole) * 1_000_000))
    }
    const unsafeSchedule: Clock.ClockScheduler["unsafeSchedule"] = (task, duration) =>
      schedule(task, Duration.toMillis(duration))
    const clock: Clock.Clock & { readonly scheduler: () => Effect.Effect<Clock.ClockScheduler> } = {
      [Clock.ClockTypeId]: Clock.ClockTypeId,
      unsafeCurrentTimeMillis: () => now,
      unsafeCurrentTimeNanos: nanos,
      currentTimeMillis: Effect.sync(() => now),
      currentTimeNanos: Effect.sync(nanos),
      scheduler: () => Effect.succeed({ unsafeSchedule }),
      sleep: (duration) =>
        Effect.async<void>((resume) => {
          const cancel = unsafeSchedule(() => resume(Effect.void), duration)
          return Effect.sync(cancel)
        })
    }

    const runToIdle = Effect.async<void>((resume) => {
      let stopped = false
      let turns = 0
      const poll = (quiet: number, seen: number): unknown =>
        setImmediate(() => {
          if (stopped) return
          const still = scheduler.ready() === 0 && scheduler.activity === seen
          if (still && quiet + 1 >= quietTurns) resume(Effect.void)
          else if (++turns < maximumTurns) poll(still ? quiet + 1 : 0, scheduler.activity)
          else resume(Effect.die(new Deadlock(`the fibers were never idle within ${maximumTurns} macrotask turns`)))
        })
      poll(0, scheduler.activity)
      return Effect.sync(() => {
        stopped = true
      })
    })

    const next = () => {
      const instant = sleepers[0]?.instant
      return instant === undefined || instant === Infinity ? undefined : instant
    }
    const wakeNext = Effect.suspend(() => {
      const sleeper = sleepers.shift()!
      now = Math.max(now, sleeper.instant)
      scheduler.activity++
      sleeper.wake()
      return runToIdle
    })
    const wakeUntil = (instant: number) =>
      Effect.whileLoop({ while: () => (next() ?? Infinity) <= instant, body: () => wakeNext, step: () => {} })

    return {
      clock,
      scheduler,
      now: () => now,
      sleepers: () => sleepers.length,
      next,
      runToIdle,
      step: Effect.suspend(() => next() === undefined ? Effect.succeed(false) : Effect.as(wakeNext, true)),
      advance: (duration) =>
        Effect.flatMap(runToIdle, () => {
          const target = now + Duration.toMillis(duration)
          return Effect.zipRight(
            wakeUntil(target),
            Effect.sync(() => {
              if (Number.isFinite(target)) now = Math.max(now, target)
            })
          )
        }),
      set: (millis) =>
        Effect.suspend(() => {
          now = millis
          return Effect.zipRight(runToIdle, wakeUntil(millis))
        })
    }
  })

/**
 * Runs an effect by this clock and on its scheduler.
 *
 * @example
 * import * as VirtualClock from "@holdfast/testkit/VirtualClock"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const time = yield* VirtualClock.make()
 *   yield* Effect.fork(Effect.sleep("1 day").pipe(VirtualClock.provide(time)))
 *   yield* time.runToIdle
 *   return time.next()
 * })
 *
 * Effect.runPromise(program).then(console.log) // 86400000
 *
 * @since 0.1.0
 * @category combinators
 */
export const provide: {
  (time: VirtualClock): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, time: VirtualClock): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, time: VirtualClock): Effect.Effect<A, E, R> =>
    Effect.withScheduler(Effect.withClock(self, time.clock), time.scheduler)
)

const drive = (time: VirtualClock, fiber: Fiber.RuntimeFiber<unknown, unknown>, maximumSteps: number) =>
  Effect.gen(function*() {
    for (let steps = 0; steps < maximumSteps; steps++) {
      yield* time.runToIdle
      if (fiber.unsafePoll() !== null) return
      if (!(yield* time.step)) {
        return yield* Effect.die(
          new Deadlock(
            `deadlock at ${time.now()} ms of virtual time: every fiber is idle and nobody sleeps, ` +
              "so the effect waits for something that can never happen"
          )
        )
      }
    }
    yield* Effect.die(
      new Deadlock(`the effect had not ended at ${time.now()} ms of virtual time, after ${maximumSteps} steps`)
    )
  })

/**
 * Runs an effect under a fresh virtual clock and moves time to the next sleeper whenever everything is idle. Ends with
 * the defect `Deadlock` when everything is idle and nobody sleeps; the effect is interrupted first.
 *
 * @example
 * import * as VirtualClock from "@holdfast/testkit/VirtualClock"
 * import * as Effect from "effect/Effect"
 *
 * // an hour that is over in a moment
 * const program = VirtualClock.run(Effect.sleep("1 second").pipe(Effect.repeatN(3599)))
 *
 * @since 0.1.0
 * @category combinators
 */
export const run = <A, E, R>(effect: Effect.Effect<A, E, R>, options?: RunOptions): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const maximumSteps = options?.maximumSteps ?? 1_000_000
      const time = yield* make(options)
      const fiber = yield* Effect.fork(restore(provide(effect, time)))
      const driven = yield* Effect.exit(restore(drive(time, fiber, maximumSteps)))
      if (Exit.isFailure(driven)) {
        // The finalizers of the effect may sleep, so time goes on for them; what still hangs then is left behind.
        yield* Fiber.interruptFork(fiber)
        yield* Effect.exit(drive(time, fiber, maximumSteps))
        return yield* Effect.failCause(driven.cause)
      }
      return yield* restore(Fiber.join(fiber))
    })
  )
