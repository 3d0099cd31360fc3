/**
 * Keeps jobs that could not be done now, and settles them in the background until each of them has an end.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Alarm from "../Alarm.js"
import * as Deadline from "../Deadline.js"
import * as Failure from "../Failure.js"
import { show } from "../Options.js"
import { classified, fault } from "./fallbackFault.js"
import { Wait } from "./fallbackWait.js"

/**
 * The answer of a deferral queue: accepted, not done yet.
 *
 * @since 0.1.0
 * @category models
 */
export class Pending extends Data.TaggedClass("Pending")<{
  readonly queue: string
  /** By which the settlement can be told later. */
  readonly id: string
  /** For the user, such as "Payment pending". */
  readonly message: string
}> {}

/**
 * The queue took no further job: it holds as many as it may, or its scope is closing.
 *
 * @since 0.1.0
 * @category errors
 */
export class QueueFull extends Failure.Rejected("QueueFull")<{
  readonly queue: string
  readonly reason: "full" | "closed"
  readonly capacity: number
  readonly pending: number
}> {
  override get message(): string {
    return this.reason === "full"
      ? `${this.queue} is full: ${this.pending} of ${this.capacity} jobs are pending`
      : `${this.queue} is closed and takes no further job`
  }
}

/** When a job is tried again whose dependency asks for a longer wait than anything waits: an accepted job is not kept back for ever. */
const beyondEveryBound = Duration.toMillis("1 hour")

const queueFull = Failure.stackless(QueueFull)

/**
 * The end of a deferred job.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settlement<out Job, out A, out E> {
  readonly id: string
  readonly job: Job
  /** A failure is an end too: the job was refused for good, or its retries are used up. */
  readonly exit: Exit.Exit<A, E>
  readonly attempts: number
}

/**
 * A job that has no end yet.
 *
 * @since 0.1.0
 * @category models
 */
export interface Unsettled<out Job> {
  readonly id: string
  readonly job: Job
  readonly attempts: number
}

/** What a `Backoff` is to the queue. */
export interface Delays {
  readonly delay: (retry: number, previous: number, draw: number) => number
}

/** What the queue needs to know; all is checked before. */
export interface Settings {
  readonly name: string
  readonly capacity: number
  readonly settle: (job: any) => Effect.Effect<unknown, unknown>
  readonly schedule: Delays
  /** In place of `schedule`, where that throws. */
  readonly defaultSchedule: Delays
  readonly maxRetries: number
  readonly concurrency: number
  readonly drainMillis: number
  readonly identify: ((job: any) => unknown) | undefined
  readonly message: (job: any) => string
  readonly classify: Failure.Classify
}

interface Entry extends Unsettled<any> {
  attempts: number
  previousDelay: number
  /** Not before this instant. */
  due: number
}

/** The live queue. A job is in `waiting` or in `taken` from its acceptance to its end, and never in both. */
export class Deferrals {
  readonly settings: Settings
  private readonly alarms: Alarm.Alarms
  private readonly changes: PubSub.PubSub<Settlement<any, any, any>>
  private readonly waiting: Array<Entry> = []
  private readonly taken = new Set<Entry>()
  private readonly known = new Map<string, Pending>()
  private readonly idle = new Set<Wait>()
  private drained: Wait | undefined = undefined
  private closing = false
  private numbered = 0
  private ended = 0

  /** @internal */
  constructor(settings: Settings, alarms: Alarm.Alarms, changes: PubSub.PubSub<Settlement<any, any, any>>) {
    this.settings = settings
    this.alarms = alarms
    this.changes = changes
  }

  get pendingNow(): number {
    return this.waiting.length + this.taken.size
  }

  get settledNow(): number {
    return this.ended
  }

  get unsettledNow(): ReadonlyArray<Unsettled<any>> {
    return [...this.taken, ...this.waiting].map(({ attempts, id, job }) => ({ id, job, attempts }))
  }

  readonly settlements: Stream.Stream<Settlement<any, any, any>> = Stream.suspend(() => Stream.fromPubSub(this.changes))

  /**
   * Takes a job in one step, so that no interruption can come between the promise and the keeping of it. The user's `id` and `message`
   * are asked before anything is taken: what they throw refuses the job.
   */
  accept(job: unknown): Exit.Exit<Pending, QueueFull> {
    const { message, name } = this.settings
    const id = this.idOf(job)
    const same = this.known.get(id)
    if (same !== undefined) {
      return Exit.succeed(same)
    }
    const refusal = this.refusal()
    if (refusal !== undefined) {
      return Exit.fail(refusal)
    }
    const pending = new Pending({ queue: name, id, message: message(job) })
    this.known.set(id, pending)
    this.waiting.push({ id, job, attempts: 0, previousDelay: 0, due: -Infinity })
    this.wakeOne()
    return Exit.succeed(pending)
  }

  /** An id that is missing must not become one that all jobs share: of two orders one would never be done. */
  private idOf(job: unknown): string {
    const { identify, name } = this.settings
    if (identify === undefined) {
      return `${name}-${++this.numbered}`
    }
    const id = identify(job)
    if (typeof id !== "string" || id === "") {
      throw new TypeError(`${name}.id is ${show(id)}, allowed is a text that is not empty`)
    }
    return id
  }

  refusal(): QueueFull | undefined {
    const { capacity, name } = this.settings
    const pending = this.pendingNow
    return this.closing || pending >= capacity
      ? queueFull({ queue: name, reason: this.closing ? "closed" : "full", capacity, pending })
      : undefined
  }

  private wakeOne(): void {
    this.idle.values().next().value?.ring()
  }

  // -- the worker --------------------------------------------------------------

  readonly work: Effect.Effect<never> = Effect.forever(
    Effect.suspend(() => Effect.zipRight(this.settleNext, this.rest))
  )

  /** The first job that is due. Looked for in the step that takes it: another worker may have been quicker. */
  private takeDue(): Entry | undefined {
    const now = this.alarms.now()
    const place = this.waiting.findIndex((entry) => entry.due <= now)
    return place < 0 ? undefined : this.waiting.splice(place, 1)[0]
  }

  /** Looks for work in the step that begins the wait: a job accepted just before must not lie there unseen. */
  private readonly rest: Effect.Effect<void> = Effect.async<void>((resume) => {
    const now = this.alarms.now()
    const earliest = this.waiting.reduce((least, entry) => Math.min(least, entry.due), Infinity)
    if (earliest <= now) {
      return resume(Effect.void)
    }
    const wait = new Wait(this.alarms, earliest, (effect) => {
      this.idle.delete(wait)
      resume(effect)
    })
    this.idle.add(wait)
    return Effect.sync(() => {
      this.idle.delete(wait)
      wait.end()
    })
  })

  private readonly settleNext: Effect.Effect<void> = Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const entry = this.takeDue()
      if (entry === undefined) {
        return Effect.void
      }
      this.taken.add(entry)
      entry.attempts++
      return Effect.flatMap(
        Effect.exit(restore(Effect.suspend(() => this.settings.settle(entry.job)))),
        (exit) =>
          Effect.flatMap(Random.next, (draw) =>
            Effect.catchAllDefect(
              Effect.suspend(() => this.attempted(entry, exit, draw)),
              () => Effect.sync(() => this.unheard(entry, draw))
            ))
      )
    })
  )

  /** A delay that is no time to wait would keep an accepted job back for ever: then the default one counts. */
  private delay(retry: number, previous: number, draw: number): number {
    const { defaultSchedule, name, schedule } = this.settings
    try {
      const delay: unknown = schedule.delay(retry, previous, draw)
      if (typeof delay === "number" && delay >= 0 && delay < Infinity) {
        return delay
      }
      throw new TypeError(`a delay is ${show(delay)}, allowed is a number of milliseconds, 0 or more`)
    } catch (defect) {
      fault(`${name}.schedule`, defect)
      return defaultSchedule.delay(retry, previous, draw)
    }
  }

  /** The classifier and the schedule, which are the user's, are asked before the job is let go of. */
  private attempted(entry: Entry, exit: Exit.Exit<unknown, unknown>, draw: number): Effect.Effect<void> {
    const { classify, maxRetries, name } = this.settings
    const outcome = classified(name, classify, exit)
    if (outcome.class === "Interrupted") {
      const delay = this.delay(0, 0, draw)
      // Nobody knows how far it came: it goes back to where it was taken from.
      entry.attempts--
      this.taken.delete(entry)
      this.waiting.unshift(entry)
      this.dueIn(entry, delay)
    } else if (
      // A job that is itself at fault ends the same way however often it is tried.
      outcome.class === "Success" || outcome.class === "Permanent" || outcome.fault === "caller" ||
      entry.attempts > maxRetries
    ) {
      this.taken.delete(entry)
      this.ended++
      this.known.delete(entry.id)
      this.changes.unsafeOffer({ id: entry.id, job: entry.job, exit, attempts: entry.attempts })
      this.tellDrained()
      // The user was told "later": an end without success must not pass in silence.
      return exit._tag === "Success"
        ? Effect.void
        : Effect.logWarning(`${name}: the job ${entry.id} ended without success`, exit.cause)
    } else {
      entry.previousDelay = this.delay(entry.attempts - 1, entry.previousDelay, draw)
      const asked = outcome.retryAfter === undefined ? 0 : Duration.toMillis(outcome.retryAfter)
      this.putBehind(entry, Math.max(entry.previousDelay, asked === Infinity ? beyondEveryBound : asked))
    }
    this.tellDrained()
    return exit._tag === "Failure" && Cause.isDie(exit.cause)
      ? Effect.logError(`${name}: the job ${entry.id} died`, exit.cause)
      : Effect.void
  }

  /** A job that cannot be done must not keep back those that can. */
  private putBehind(entry: Entry, delay: number): void {
    this.taken.delete(entry)
    this.waiting.push(entry)
    this.dueIn(entry, delay)
  }

  /** One last try while closing. */
  private dueIn(entry: Entry, delay: number): void {
    entry.due = this.closing ? Infinity : this.alarms.now() + delay
  }

  /** Something that the job's end was told to threw, such as a logger: that stops no worker, and a job without an end is tried again. */
  private unheard(entry: Entry, draw: number): void {
    if (this.taken.has(entry)) {
      this.putBehind(entry, this.settings.defaultSchedule.delay(entry.attempts - 1, 0, draw))
      this.tellDrained()
    }
  }

  // -- the end -----------------------------------------------------------------

  private isDrained(): boolean {
    return this.taken.size === 0 && this.waiting.every((entry) => entry.due === Infinity)
  }

  private tellDrained(): void {
    if (this.drained !== undefined && this.isDrained()) {
      this.drained.ring()
    }
  }

  /** Each job is tried once more, at once, as long as the time lasts. */
  readonly drain: Effect.Effect<void> = Effect.suspend(() => {
    this.closing = true
    for (const entry of this.waiting) {
      entry.due = -Infinity
    }
    for (let waiting = this.idle.size; waiting > 0; waiting--) {
      this.wakeOne()
    }
    if (this.settings.drainMillis === 0 || this.isDrained()) {
      return Effect.void
    }
    return Effect.async<void>((resume) => {
      this.drained = new Wait(this.alarms, this.alarms.now() + this.settings.drainMillis, resume)
      this.tellDrained()
    })
  })

  readonly report: Effect.Effect<void> = Effect.suspend(() =>
    this.pendingNow === 0
      ? Effect.void
      : Effect.logWarning(`${this.settings.name} closed with ${this.pendingNow} jobs unsettled`)
  )
}

/** Makes the queue and starts its workers; closing the scope drains, then stops them. */
export const make = (settings: Settings): Effect.Effect<Deferrals, never, Scope.Scope> =>
  Effect.gen(function*() {
    const changes = yield* PubSub.sliding<Settlement<any, any, any>>(256)
    const queue = new Deferrals(settings, Alarm.of(yield* Effect.clock), changes)
    const workers = yield* Effect.acquireRelease(
      Effect.forEach(
        Array.from({ length: settings.concurrency }),
        () => Effect.forkDaemon(Effect.interruptible(Deadline.detached(queue.work)))
      ),
      (fibers) =>
        queue.drain.pipe(
          Effect.zipRight(Fiber.interruptAll(fibers)),
          Effect.zipRight(queue.report),
          Effect.zipRight(PubSub.shutdown(changes))
        )
    )
    void workers
    return queue
  })
