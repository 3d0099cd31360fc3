/**
 * Runs an effect again and again and interrupts it, or acts on it, at each of its operations in turn, to prove that no
 * moment exists at which it leaks or hangs.
 *
 * An operation is one step of the fiber's run loop; the scheduler is asked before each. A first run without any action
 * counts the operations and the idle points, then one run follows for each point and mode, each on a fresh world:
 *
 * - `inline`: the action happens at operation n, while the fiber runs on;
 * - `yield`: the fiber gives up its thread at operation n, the others run, the action happens, the fiber goes on;
 * - `idle`: the action comes from outside when everything waits for the n-th time (time has not moved on yet).
 *
 * Counts may differ from run to run: an action happens if its point is reached, and the runs that did not reach theirs
 * are counted.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Utils from "effect/Utils"
import { once, type Run, type Trigger } from "./internal/sweepRun.js"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/**
 * How an action meets the body; see the head of this module.
 *
 * @since 0.1.0
 * @category models
 */
export type Mode = "inline" | "yield" | "idle"

/**
 * What happens at a point: the body is interrupted; the operation throws a `SweepDefect`, as code of the user's may at
 * any interruptible operation (it never does at an uninterruptible one, nor in mode `idle`); or a synchronous act of
 * your own, such as ringing an alarm, told the body's fiber.
 *
 * @since 0.1.0
 * @category models
 */
export type Action<World> = "interrupt" | "defect" | ((world: World, fiber: AnyFiber) => void)

/**
 * What is wrong after a run, in words; nothing, an empty text or an empty list if all is well.
 *
 * @since 0.1.0
 * @category models
 */
export type Complaints = string | ReadonlyArray<string> | void

/**
 * What was left when the body ended, whether it succeeded, failed or was killed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Left {
  /**
   * Sleeps that nobody cancelled, also those of fibers that `make` forked. `Effect.sleep` itself leaves its own behind at two of
   * its operations: compare with a control.
   */
  readonly sleepers: number
  /** Fibers that the body started and that still run. */
  readonly fibers: number
}

/**
 * Put around the part that `body` and `control` have in common, so that their points can be matched.
 *
 * @since 0.1.0
 * @category models
 */
export type Mark = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<World, A, E> {
  /** Makes the world of one run. Fibers that shall outlive this effect must be forked as daemons. */
  readonly make: () => Effect.Effect<World>
  /** The effect that is swept. */
  readonly body: (world: World, mark: Mark) => Effect.Effect<A, E>
  /**
   * The body without the code under test. It is swept with `interrupt` first; faults of the body at a point where the
   * control has one too are reported as excluded. Points are matched by their distance from `mark`, or from the start.
   */
  readonly control?: (world: World, mark: Mark) => Effect.Effect<unknown, unknown>
  /** Looks for leaks once a run has ended and settled. */
  readonly check: (world: World, exit: Exit.Exit<A, E>, left: Left) => Complaints | Effect.Effect<Complaints>
  /** What happens at each point. Default `interrupt`. */
  readonly at?: Action<World>
  /** A second action at the same or any later point: all pairs are run too, up to `maximumPairs`. Default none. */
  readonly and?: Action<World>
  /** In a pair the first action is inline in mode `yield` too, unless both share one point. Default all three. */
  readonly modes?: ReadonlyArray<Mode>
  /** Whose operations are counted: those of the body's own fiber, or those of every fiber. Default `body`. */
  readonly fibers?: "body" | "all"
  /** `virtual` moves time on whenever all is idle; with `live` a body that stays idle hangs. Default `virtual`. */
  readonly clock?: "virtual" | "live"
  /** More points of a mode than this are sampled, each with its own run. Default: all points. */
  readonly maximumPoints?: number
  /** More pairs than this are sampled. Default 2000. */
  readonly maximumPairs?: number
  /** The seed of these samples. Default 1. */
  readonly seed?: number
  /** How many sleepers one body may wake before it counts as hanging. Default 10,000. */
  readonly maximumSteps?: number
  /** How many sleepers are woken between the end of the body and `check`, so that the world ends too. Default 100. */
  readonly settle?: number
}

/**
 * A run that went wrong. `at` and `and` are operations, or idle points in mode `idle`; both count from 1, and `at` 0 is
 * the run without any action.
 *
 * @since 0.1.0
 * @category models
 */
export interface Finding {
  readonly mode: Mode
  readonly at: number
  readonly and?: number
  readonly complaints: ReadonlyArray<string>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Report {
  /** Operations of the run without any action. */
  readonly operations: number
  /** Idle points of the run without any action. */
  readonly idlePoints: number
  /** All runs of the body, and how many of them did not reach their point. */
  readonly runs: number
  readonly notReached: number
  readonly failures: ReadonlyArray<Finding>
  readonly hangs: ReadonlyArray<Finding>
  /** Faults of the body that the control has at the same point, and the faults of the control itself. */
  readonly excluded: ReadonlyArray<Finding>
  readonly controlFaults: ReadonlyArray<Finding>
}

/**
 * The defect that the action `defect` raises: it kills the fiber as a bug would.
 *
 * @example
 * import * as OperationSweep from "@holdfast/testkit/OperationSweep"
 * import * as Cause from "effect/Cause"
 * import type * as Exit from "effect/Exit"
 *
 * const wasKilled = (exit: Exit.Exit<unknown, unknown>) =>
 *   exit._tag === "Failure" && Cause.squash(exit.cause) instanceof OperationSweep.SweepDefect
 *
 * console.log(typeof wasKilled) // "function"
 *
 * @since 0.1.0
 * @category errors
 */
export class SweepDefect extends Error {
  readonly _tag = "SweepDefect"
  override readonly name = "SweepDefect"
}

const pointsOf = (run: Run, mode: Mode) => mode === "idle" ? run.idlePoints : run.operations

/** Moves a sample of so many to the front. */
const sample = (all: Array<unknown>, size: number, random: Utils.PCGRandom): void => {
  for (let index = 0; index < size && size < all.length; index++) {
    const other = index + random.integer(all.length - index)
    ;[all[index], all[other]] = [all[other]!, all[index]!]
  }
}

/**
 * Sweeps one body. Needs nothing of the test's own clock: it works inside `it.effect` and `it.live` alike.
 *
 * @example
 * import * as OperationSweep from "@holdfast/testkit/OperationSweep"
 * import * as Effect from "effect/Effect"
 *
 * const program = OperationSweep.run({
 *   make: () => Effect.succeed({ taken: 0 }),
 *   body: (world) =>
 *     Effect.acquireUseRelease(
 *       Effect.sync(() => world.taken++),
 *       () => Effect.sleep("1 second"),
 *       () => Effect.sync(() => world.taken--)
 *     ),
 *   check: (world) => world.taken === 0 ? [] : ["leaked"]
 * }).pipe(Effect.map(OperationSweep.assertClean))
 *
 * @since 0.1.0
 * @category constructors
 */
export const run = <World, A, E>(options: Options<World, A, E>): Effect.Effect<Report> =>
  Effect.gen(function*() {
    const modes = options.modes ?? ["inline", "yield", "idle"]
    const at = options.at ?? "interrupt"
    const controlled = options.control === undefined
      ? []
      : yield* sweepControl(options, options.control, modes)
    const faulty = new Set(controlled.map((fault) => fault.match))

    const failures: Array<Finding> = []
    const hangs: Array<Finding> = []
    const excluded: Array<Finding> = []
    let runs = 0
    let notReached = 0
    const attempt = (point: Omit<Finding, "complaints">, triggers: ReadonlyArray<Trigger<World>>) =>
      Effect.map(once(options, options.body, options.check, triggers), (outcome) => {
        runs++
        if (!outcome.reached) notReached++
        const finding: Finding = { ...point, complaints: outcome.complaints }
        if (finding.complaints.length > 0) {
          if (outcome.matches.some((match) => faulty.has(match))) excluded.push(finding)
          else (outcome.hung ? hangs : failures).push(finding)
        }
        return outcome
      })

    const baseline = yield* attempt({ mode: modes[0] ?? "inline", at: 0 }, [])
    const pairs: Array<{ readonly mode: Mode; readonly at: number; readonly and: number }> = []
    const random = new Utils.PCGRandom(options.seed ?? 1)
    for (const mode of modes) {
      const points = Array.from({ length: pointsOf(baseline, mode) }, (_, index) => index + 1)
      const most = Math.min(points.length, options.maximumPoints ?? Infinity)
      sample(points, most, random)
      for (const position of points.slice(0, most)) {
        const outcome = yield* attempt({ mode, at: position }, [{ mode, position, act: at }])
        if (options.and === undefined || !outcome.reached) continue
        // The first action changes what comes after it, so the later points are those of this very run.
        for (let and = position; and <= pointsOf(outcome, mode); and++) pairs.push({ mode, at: position, and })
      }
    }

    const budget = Math.min(pairs.length, options.maximumPairs ?? 2000)
    sample(pairs, budget, random)
    for (const pair of pairs.slice(0, budget)) {
      const apart = pair.mode === "yield" && pair.and !== pair.at
      yield* attempt(pair, [
        { mode: apart ? "inline" : pair.mode, position: pair.at, act: at },
        { mode: pair.mode, position: pair.and, act: options.and! }
      ])
    }
    return {
      operations: baseline.operations,
      idlePoints: baseline.idlePoints,
      runs,
      notReached,
      failures,
      hangs,
      excluded,
      controlFaults: controlled.map((fault) => fault.finding)
    }
  })

const sweepControl = <World, A, E>(
  options: Options<World, A, E>,
  control: (world: World, mark: Mark) => Effect.Effect<unknown, unknown>,
  modes: ReadonlyArray<Mode>
) =>
  Effect.gen(function*() {
    const faults: Array<{ readonly match: string; readonly finding: Finding }> = []
    const body = control as (world: World, mark: Mark) => Effect.Effect<A, E>
    const baseline = yield* once(options, body, options.check, [])
    for (const mode of modes) {
      for (let position = 1; position <= pointsOf(baseline, mode); position++) {
        const outcome = yield* once(options, body, options.check, [{ mode, position, act: "interrupt" }])
        const match = outcome.matches[0]
        if (outcome.complaints.length > 0 && match !== undefined) {
          faults.push({ match, finding: { mode, at: position, complaints: outcome.complaints } })
        }
      }
    }
    return faults
  })

const line = (kind: string) => (finding: Finding) =>
  `  ${kind}, ${finding.mode} at ${finding.at}${finding.and === undefined ? "" : ` and ${finding.and}`}: ` +
  finding.complaints.join("; ")

/**
 * The report as text, one line for each finding.
 *
 * @example
 * import * as OperationSweep from "@holdfast/testkit/OperationSweep"
 * import * as Effect from "effect/Effect"
 *
 * // one permit, taken and given back in two operations with a gap between them
 * const program = OperationSweep.run({
 *   make: () => Effect.succeed({ taken: false }),
 *   body: (world) =>
 *     Effect.zipRight(
 *       Effect.sync(() => (world.taken = true)),
 *       Effect.ensuring(Effect.void, Effect.sync(() => (world.taken = false)))
 *     ),
 *   check: (world) => world.taken ? "the permit is lost" : undefined
 * })
 *
 * Effect.runPromise(program).then((report) => console.log(OperationSweep.format(report)))
 *
 * @since 0.1.0
 * @category getters
 */
export const format = (report: Report): string =>
  [
    `${report.operations} operations, ${report.idlePoints} idle points, ${report.runs} runs ` +
    `(${report.notReached} did not reach their point): ${report.failures.length} failures, ${report.hangs.length} ` +
    `hangs, ${report.excluded.length} excluded because the control fails there too`,
    ...report.failures.map(line("failure")),
    ...report.hangs.map(line("hang")),
    ...report.excluded.map(line("excluded")),
    ...report.controlFaults.map(line("control"))
  ].join("\n")

/**
 * Throws the formatted report if there is a failure or a hang, or if the sweep had nothing to sweep.
 *
 * @example
 * import * as OperationSweep from "@holdfast/testkit/OperationSweep"
 * import * as Effect from "effect/Effect"
 *
 * const program = OperationSweep.run({
 *   make: () => Effect.void,
 *   body: () => Effect.zipRight(Effect.forkScoped(Effect.sleep("1 minute")), Effect.yieldNow()).pipe(Effect.scoped),
 *   check: (_world, _exit, left) => left.fibers === 0 ? [] : `${left.fibers} fibers are left`
 * }).pipe(Effect.map(OperationSweep.assertClean))
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category guards
 */
export const assertClean = (report: Report): void => {
  const empty = report.runs - report.notReached <= 1
  if (empty || report.failures.length + report.hangs.length > 0) {
    throw new Error(`the operation sweep ${empty ? "reached no point" : "found faults"}\n${format(report)}`)
  }
}
