/**
 * The public face of the deferral queue: its options, its readings, and the tier that hands jobs to it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Failure from "../Failure.js"
import { Validation } from "../Options.js"
import type { Tier } from "./fallbackModel.js"
import * as queue from "./fallbackQueue.js"
import { checkCommon, makeTier } from "./fallbackTier.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface DeferralQueueOptions<Job, A, E, R> {
  /** The most jobs that may be pending, those being settled included; 1 to 1,000,000. */
  readonly capacity: number
  /** Does the job. It may run more than once, so it carries an idempotency key or is repeatable by nature. */
  readonly settle: (job: Job) => Effect.Effect<A, E, R>
  /**
   * A `Backoff`: the delays between the tries of one job; meanwhile other jobs are settled. Default exponential, 1
   * second to 1 minute.
   */
  readonly schedule?: queue.Delays | undefined
  /** Tries after the first. A `Permanent` failure ends a job at once. Default: until it is settled. */
  readonly maxRetries?: number | undefined
  /** Jobs settled at the same time. Default 1. */
  readonly concurrency?: number | undefined
  /** How long closing the scope waits while each job is tried once more. Default 5 seconds; zero stops at once. */
  readonly drainFor?: Duration.DurationInput | undefined
  /**
   * Names a job; while it is pending the same name is accepted once. A function that throws, or gives no text or an empty one,
   * refuses the job as a defect. Default: the name of the queue and a running number.
   */
  readonly id?: ((job: Job) => string) | undefined
  /** What the user is told, such as "Payment pending". Default: "Accepted, will be done later". */
  readonly message?: string | ((job: Job) => string) | undefined
  /** Default `deferred`. */
  readonly name?: string | undefined
  /** Default `Failure.classify`. */
  readonly classify?: Failure.Classify | undefined
}

/**
 * @since 0.1.0
 * @category symbols
 */
export const QueueTypeId: unique symbol = Symbol.for("@holdfast/core/Fallback/DeferralQueue")

/**
 * Jobs accepted for later. A job that was accepted is pending until it is settled, whatever is interrupted; it lives in
 * this process, so what must outlive a crash is written down by `settle`'s service, not here.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeferralQueue<Job, out A = unknown, out E = unknown> {
  readonly [QueueTypeId]: queue.Deferrals
  readonly name: string
  /** Accepts a job without any failure before it. */
  readonly offer: (job: Job) => Effect.Effect<queue.Pending, queue.QueueFull>
  /** How many jobs have no end yet. */
  readonly pending: Effect.Effect<number>
  /** How many jobs have ended. */
  readonly settled: Effect.Effect<number>
  /** Each end from now on. A reader that falls 256 behind loses the oldest. */
  readonly settlements: Stream.Stream<queue.Settlement<Job, A, E>>
  /** The jobs that have no end yet; readable after the scope has closed, to write them down. */
  readonly unsettled: Effect.Effect<ReadonlyArray<queue.Unsettled<Job>>>
}

/** Makes queues with these delays where the user gives none. */
export const makeWith = (defaultSchedule: queue.Delays) =>
<Job, A, E, R>(
  options: DeferralQueueOptions<Job, A, E, R>
): Effect.Effect<DeferralQueue<Job, A, E>, never, R | Scope.Scope> =>
  Effect.suspend(() => {
    const check = new Validation("Fallback.DeferralQueue.make")
    check.record(options, [
      "capacity",
      "settle",
      "schedule",
      "maxRetries",
      "concurrency",
      "drainFor",
      "id",
      "message",
      "name",
      "classify"
    ])
    const { classify, concurrency, id, maxRetries, message, name, schedule } = options ?? {}
    check.whole("capacity", options?.capacity, 1)
    check.callable("settle", options?.settle)
    if (schedule !== undefined && typeof (schedule as any)?.delay !== "function") {
      check.add("schedule", schedule, "a Backoff, such as Backoff.exponential(\"1 second\")")
    }
    if (maxRetries !== undefined && maxRetries !== Infinity) {
      check.whole("maxRetries", maxRetries, 0)
    }
    if (concurrency !== undefined) {
      check.whole("concurrency", concurrency, 1, 10_000)
    }
    if (id !== undefined) {
      check.callable("id", id)
    }
    if (message !== undefined && typeof message !== "function") {
      check.text("message", message)
    }
    if (name !== undefined) {
      check.text("name", name)
    }
    if (classify !== undefined) {
      check.callable("classify", classify)
    }
    const drainMillis = check.duration("drainFor", options?.drainFor ?? Duration.seconds(5), 0)
    check.done()
    const toMessage = typeof message === "function" ? message : () => message ?? "Accepted, will be done later"
    return Effect.flatMap(Effect.context<R>(), (context) =>
      Effect.map(
        queue.make({
          name: name ?? "deferred",
          capacity: options.capacity,
          settle: (job) => Effect.provide(options.settle(job), context),
          schedule: schedule ?? defaultSchedule,
          defaultSchedule,
          maxRetries: maxRetries ?? Infinity,
          concurrency: concurrency ?? 1,
          drainMillis,
          identify: id,
          message: toMessage,
          classify: classify ?? Failure.classify
        }),
        (made): DeferralQueue<Job, A, E> => ({
          [QueueTypeId]: made,
          name: made.settings.name,
          offer: (job) => Effect.suspend(() => made.accept(job)),
          pending: Effect.sync(() => made.pendingNow),
          settled: Effect.sync(() => made.settledNow),
          settlements: made.settlements,
          unsettled: Effect.sync(() => made.unsettledNow)
        })
      ))
  })

/**
 * @since 0.1.0
 * @category models
 */
export interface DeferOptions {
  /** Default: the name of the queue. */
  readonly name?: string | undefined
  readonly when?: Failure.When | undefined
  /** What to tell the user beside the message of the answer. */
  readonly notice?: string | undefined
}

/**
 * A tier that hands the input of the call to a deferral queue and answers `Pending`; it fails with `QueueFull`. The job
 * is accepted in the step in which the primary's failure is seen: accepted once or not at all.
 *
 * @example
 * ```ts
 * import * as Fallback from "@holdfast/core/Fallback"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const queue = yield* Fallback.DeferralQueue.make({
 *     capacity: 1000,
 *     settle: (order: string) => Effect.log(`charged ${order}`),
 *     message: "Payment pending"
 *   })
 *   const payments = Fallback.tiers(Fallback.defer(queue))
 *   return yield* Effect.fail("down").pipe(payments.with("o-1"))
 * })
 *
 * Effect.runPromise(Effect.scoped(program))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const defer = <Job>(
  to: DeferralQueue<Job, unknown, unknown>,
  options?: DeferOptions
): Tier<Job, queue.Pending, never, never> => {
  const check = new Validation("Fallback.defer")
  const live = (to as any)?.[QueueTypeId] as queue.Deferrals | undefined
  if (live === undefined) {
    check.add("queue", to, "a queue, made by Fallback.DeferralQueue.make")
  }
  check.record(options ?? {}, ["name", "when", "notice"])
  checkCommon(check, options)
  check.done()
  return makeTier({
    name: options?.name ?? live!.settings.name,
    kind: "defer",
    when: options?.when,
    withinMillis: undefined,
    notice: options?.notice,
    run: (failed) => live!.accept(failed.input),
    // A rehearsal must not place an order.
    rehearse: () => {
      const refusal = live!.refusal()
      return refusal === undefined ? Exit.void : Exit.fail(refusal)
    },
    constant: false,
    store: undefined
  })
}
