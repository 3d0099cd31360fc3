/**
 * Keeps one dependency from taking all there is: at most so many calls at once, at most so many waiting, the rest refused.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Alarm from "./Alarm.js"
import { BulkheadQueue, type Waiter } from "./BulkheadQueue.js"
import * as Failure from "./Failure.js"
import { admitted, type Gate, mustWait, type Passage } from "./internal/gate.js"
import { Validation } from "./Options.js"
import * as Step from "./Step.js"

/**
 * The bulkhead had no place for the call; the dependency was not called.
 *
 * - `reason: "full"`: all places and the queue are taken.
 * - `reason: "waited"`: the call waited for `maxWait` in vain.
 * - `reason: "deadline"`: the deadline of the caller passed while it waited.
 *
 * @example
 * import * as Bulkhead from "@holdfast/core/Bulkhead"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const bulkhead = yield* Bulkhead.make({ name: "payments", maxConcurrent: 20 })
 *   return yield* Effect.succeed("charged").pipe(
 *     bulkhead,
 *     Effect.catchTag("BulkheadFull", (error) => Effect.succeed(error.message))
 *   )
 * })
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category errors
 */
export class BulkheadFull extends Failure.Rejected("BulkheadFull")<{
  readonly policy: string
  readonly dependency: string | undefined
  readonly reason: "full" | "waited" | "deadline"
  readonly maxConcurrent: number
  readonly active: number
  readonly queued: number
}> {
  override get message(): string {
    const whose = this.dependency ?? this.policy
    const load = `${this.active} of ${this.maxConcurrent} calls run, ${this.queued} wait`
    switch (this.reason) {
      case "full":
        return `The bulkhead of ${whose} is full: ${load}`
      case "waited":
        return `The bulkhead of ${whose} had no place in time: ${load}`
      case "deadline":
        return `The bulkhead of ${whose} had no place before the deadline: ${load}`
    }
  }
}

const bulkheadFull = Failure.stackless(BulkheadFull)

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Names the bulkhead in errors, events and metrics. */
  readonly name: string
  /** Default: the name. */
  readonly dependency?: string | undefined
  /** Calls that run at once. The pool of connections under it must be at least as large. */
  readonly maxConcurrent: number
  /** Calls that may wait for a place, first in, first out. Default 0: refuse at once. */
  readonly maxQueue?: number | undefined
  /** The longest wait. Default: until the deadline of the call. */
  readonly maxWait?: Duration.DurationInput | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly active: number
  readonly queued: number
  readonly maxConcurrent: number
  readonly maxQueue: number
  /** Calls refused since the bulkhead was made. */
  readonly rejected: number
}

/**
 * A bulkhead: a policy that can be read and resized while calls run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bulkhead extends Step.Policy<BulkheadFull> {
  readonly snapshot: Effect.Effect<Snapshot>
  /**
   * More places go to the queue at once; fewer let the running calls end first. Who waits keeps the longest wait that it came with.
   */
  readonly resize: (limits: {
    readonly maxConcurrent: number
    readonly maxQueue?: number | undefined
    readonly maxWait?: Duration.DurationInput | undefined
  }) => Effect.Effect<void>
}

/** What a slot holds of a call that got its place without waiting. */
const held = Symbol("held")

/** A call in the queue: its place there, and its entry in the alarm queue for the longest wait. */
class Waiting implements Waiter, Alarm.Entry {
  previous: Waiter | undefined = undefined
  next: Waiter | undefined = undefined
  queued = false
  at = 0
  place = -1
  /** The permit was handed over. */
  granted = false
  readonly frame: Passage
  readonly reason: "waited" | "deadline"
  private readonly gate: BulkheadGate

  constructor(gate: BulkheadGate, frame: Passage, reason: "waited" | "deadline") {
    this.gate = gate
    this.frame = frame
    this.reason = reason
  }

  ring(): void {
    if (this.gate.queue.remove(this)) {
      this.gate.queue.reject()
      this.frame.now = this.frame.alarms.now()
      this.frame.wake(() => this.gate.full(this.frame, this.reason))
    }
  }
}

class BulkheadGate implements Gate {
  readonly _tag = "Gate"
  readonly step: Step.Step
  readonly queue: BulkheadQueue<Waiting>
  maxWaitMillis: number

  constructor(options: Options, maxQueue: number, maxWaitMillis: number) {
    const queue: BulkheadQueue<Waiting> = new BulkheadQueue(options.maxConcurrent, maxQueue)
    this.queue = queue
    this.maxWaitMillis = maxWaitMillis
    const longestWait = () => this.maxWaitMillis
    this.step = {
      kind: "Bulkhead",
      policy: options.name,
      dependency: options.dependency ?? options.name,
      get settings() {
        return { maxConcurrent: queue.maxConcurrent, maxQueue: queue.maxQueue, maxWaitMillis: longestWait() }
      }
    }
  }

  enter(frame: Passage, slot: number): undefined | Exit.Exit<never, BulkheadFull> | typeof mustWait {
    const queue = this.queue
    if (queue.tryAcquire()) {
      frame.slots[slot] = held
      return undefined
    }
    if (queue.maxQueue === 0) {
      queue.reject()
      return this.full(frame, "full")
    }
    const left = frame.waitLimit()
    if (left <= 0) {
      queue.reject()
      return this.full(frame, "deadline")
    }
    const waiting = new Waiting(this, frame, left < this.maxWaitMillis ? "deadline" : "waited")
    if (!queue.enqueue(waiting)) {
      return this.full(frame, "full")
    }
    frame.slots[slot] = waiting
    const limit = Math.min(left, this.maxWaitMillis)
    if (limit < Infinity) {
      frame.alarms.schedule(waiting, frame.now + limit, frame.now)
    }
    if (frame.callState.observed) {
      frame.tell({
        _tag: "BulkheadQueued",
        at: frame.now,
        call: frame.describe(),
        bulkhead: this.step.policy,
        active: queue.active,
        queued: queue.queued
      })
    }
    return mustWait
  }

  leave(frame: Passage, slot: number): void {
    const taken = frame.slots[slot]
    if (taken === held) {
      this.release()
      return
    }
    const waiting = taken as Waiting
    frame.alarms.cancel(waiting)
    if (!this.queue.remove(waiting) && waiting.granted) {
      this.release()
    }
  }

  /** The permit goes to the first in the queue, who holds it from this step on, whatever becomes of it. */
  private release(): void {
    const next = this.queue.release()
    if (next !== undefined) {
      this.grant(next)
    }
  }

  readonly grant = (waiting: Waiting): void => {
    waiting.granted = true
    waiting.frame.alarms.cancel(waiting)
    waiting.frame.wake(admitted)
  }

  full(frame: Passage, reason: BulkheadFull["reason"]): Exit.Exit<never, BulkheadFull> {
    const { active, maxConcurrent, queued, rejected } = this.queue
    if (frame.callState.observed) {
      frame.tell({
        _tag: "BulkheadRejected",
        at: frame.now,
        call: frame.describe(),
        bulkhead: this.step.policy,
        reason,
        maxConcurrent,
        active,
        queued,
        rejected
      })
    }
    const { dependency, policy } = this.step
    return Exit.fail(bulkheadFull({ policy, dependency, reason, maxConcurrent, active, queued }))
  }
}

/**
 * Makes a bulkhead. Keep it: one made anew for every call limits nothing.
 *
 * @example
 * import * as Bulkhead from "@holdfast/core/Bulkhead"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const bulkhead = yield* Bulkhead.make({ name: "payments", maxConcurrent: 20 })
 *   return yield* Effect.succeed("charged").pipe(bulkhead)
 * })
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Bulkhead> =>
  Effect.sync(() => {
    const check = new Validation("Bulkhead.make")
    check.record(options, ["name", "dependency", "maxConcurrent", "maxQueue", "maxWait"])
    check.text("name", options.name)
    if (options.dependency !== undefined) {
      check.text("dependency", options.dependency)
    }
    check.whole("maxConcurrent", options.maxConcurrent, 1)
    const maxQueue = options.maxQueue ?? 0
    check.whole("maxQueue", maxQueue, 0)
    const maxWait = options.maxWait === undefined ? Infinity : check.duration("maxWait", options.maxWait)
    if (options.maxWait !== undefined && maxQueue === 0) {
      check.add("maxWait", options.maxWait, "nothing while maxQueue is 0: nobody waits")
    }
    check.done()
    const gate = new BulkheadGate(options, maxQueue, maxWait)
    const queue = gate.queue
    return Object.assign(Step.policy<BulkheadFull>([gate]), {
      snapshot: Effect.sync((): Snapshot => ({
        active: queue.active,
        queued: queue.queued,
        maxConcurrent: queue.maxConcurrent,
        maxQueue: queue.maxQueue,
        rejected: queue.rejected
      })),
      resize: (limits: {
        readonly maxConcurrent: number
        readonly maxQueue?: number | undefined
        readonly maxWait?: Duration.DurationInput | undefined
      }) =>
        Effect.sync(() => {
          const findings = new Validation("Bulkhead.resize")
          findings.record(limits, ["maxConcurrent", "maxQueue", "maxWait"])
          findings.whole("maxConcurrent", limits.maxConcurrent, 1)
          const places = limits.maxQueue ?? queue.maxQueue
          findings.whole("maxQueue", places, 0)
          const wait = limits?.maxWait === undefined ? gate.maxWaitMillis : findings.duration("maxWait", limits.maxWait)
          findings.done()
          gate.maxWaitMillis = wait
          queue.resize(limits.maxConcurrent, places, gate.grant)
        })
    })
  })
