/**
 * Writes events as structured log lines, with the loggers, the annotations and the spans of the fiber whose call it is.
 *
 * Many equal lines are counted, not written: an open circuit that refuses a thousand calls a second makes one line in ten seconds.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import { shows, write, type Writer, writerOf } from "./internal/log.js"
import { levelOf, levels, type Line, linesOf, seconds, subjectOf } from "./internal/logLines.js"
import { Validation } from "./Options.js"
import * as ResilienceEvent from "./ResilienceEvent.js"

/**
 * The events that make a line.
 *
 * Not among them are the ends of calls and attempts, which metrics are for, and what core logs by itself, listener or not: an error
 * that nobody classified, a piece of the user's that threw, a finalizer that died.
 *
 * @since 0.1.0
 * @category models
 */
export type Logged = Exclude<
  ResilienceEvent.ResilienceEvent["_tag"],
  "CallEnded" | "AttemptEnded" | "UnclassifiedFailure" | "PolicyFault" | "FinalizerDied"
>

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The lines of one kind about one piece that are written in full in each period; further ones are counted. Default 5. */
  readonly burst?: number | undefined
  /** The length of a period. After it, one line for each kind and piece says how many more there were. Default 10 seconds. */
  readonly every?: Duration.DurationInput | undefined
  /** Other levels than the usual ones, by event; `LogLevel.None` for no line at all. */
  readonly levels?: { readonly [Tag in Logged]?: LogLevel.LogLevel } | undefined
}

const defaults = { burst: 5, every: "10 seconds" } as const

/** What is told apart in one period; what comes beyond it is counted together. */
const mostSubjects = 1000

/** The lines of one kind about one piece, in the present period. */
interface Counted {
  /** The first of them. */
  readonly line: Line
  written: number
  more: number
}

class Log {
  private readonly counts = new Map<string, Counted>()
  private periodStart = NaN
  /** Who logged last: its loggers are those in use. */
  private last: Writer
  private readonly own: Writer
  private readonly burst: number
  private readonly everyMillis: number
  private readonly given: NonNullable<Options["levels"]>

  constructor(own: Writer, burst: number, everyMillis: number, given: NonNullable<Options["levels"]>) {
    this.own = this.last = own
    this.burst = burst
    this.everyMillis = everyMillis
    this.given = given
  }

  readonly hear: ResilienceEvent.Listener = (event, fiber) => {
    // A clock that was set back begins a period too.
    if (!(event.at >= this.periodStart && event.at < this.periodStart + this.everyMillis)) {
      this.sum()
      this.periodStart = event.at
    }
    const level = this.given[event._tag as Logged] ?? levelOf(event)
    if (level === LogLevel.None) {
      return
    }
    const writer = fiber === undefined ? this.last : writerOf(fiber)
    this.last = writer
    if (!shows(writer, level)) {
      return
    }
    const kind = `${event._tag} ${level._tag}`
    const subject = `${kind} ${subjectOf(event)}`
    let counted = this.counts.get(subject)
    let lines: ReadonlyArray<Line> | undefined = undefined
    if (counted === undefined) {
      lines = this.linesOf(event)
      counted = this.count(subject, kind, event, lines[0]!)
    }
    // That a call failed fast is nothing to read one by one.
    if (counted.written >= this.burst || event._tag === "CircuitRejected") {
      counted.more++
      return
    }
    counted.written++
    for (const { cause, fields, level, message, own } of lines ?? this.linesOf(event)) {
      if (shows(writer, level)) {
        write(writer, level, message, { ...fields, ...own }, cause)
      }
    }
  }

  private linesOf(event: ResilienceEvent.ResilienceEvent): ReadonlyArray<Line> {
    const level = this.given[event._tag as Logged]
    return level === undefined ? linesOf(event) : linesOf(event).map((line) => ({ ...line, level }))
  }

  private count(subject: string, kind: string, event: ResilienceEvent.ResilienceEvent, line: Line): Counted {
    const full = this.counts.size >= mostSubjects
    const key = full ? kind : subject
    const known = this.counts.get(key)
    const counted = known ?? {
      line: full ? { ...line, message: `${event._tag} of others`, fields: {} } : line,
      written: 0,
      more: 0
    }
    this.counts.set(key, counted)
    return counted
  }

  /** Says how many lines were not written, and begins anew. */
  readonly sum = (): void => {
    if (this.counts.size === 0) {
      return
    }
    // Nobody's in particular: it has the loggers of the last call, and none of its annotations.
    const writer = { ...this.last, id: FiberId.none, annotations: this.own.annotations, spans: this.own.spans }
    for (const { line, more, written } of this.counts.values()) {
      if (more > 0) {
        const how = `${more}${written > 0 ? " more" : ""} in ${seconds(this.everyMillis)}`
        write(writer, line.level, `${line.message} (${how})`, { ...line.fields, count: more })
      }
    }
    this.counts.clear()
  }
}

/**
 * A listener that writes, for `ResilienceEvent.listen`; most programs use `layer`. When the scope closes it says what it has counted
 * and not written.
 *
 * @example
 * import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
 * import * as ResilienceLog from "@holdfast/core/ResilienceLog"
 * import * as Timeout from "@holdfast/core/Timeout"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const listener = yield* ResilienceLog.make({ burst: 1 })
 *   return yield* Effect.sleep("1 second").pipe(
 *     Timeout.make("20 millis", { dependency: "payments" }),
 *     ResilienceEvent.listen(listener)
 *   )
 * })
 *
 * Effect.runPromiseExit(Effect.scoped(program))
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<ResilienceEvent.Listener, never, Scope.Scope> =>
  Effect.suspend(() => {
    const check = new Validation("ResilienceLog")
    check.record(options, ["burst", "every", "levels"])
    check.done()
    const { burst = defaults.burst, every = defaults.every, levels: given = {} } = options
    check.whole("burst", burst, 0)
    const everyMillis = check.duration("every", every)
    const logged = Object.keys(levels).filter((tag) => levels[tag as Logged] !== LogLevel.None)
    const inner = new Validation(check.owner, "levels.")
    inner.record(given, logged)
    for (const tag of logged as ReadonlyArray<Logged>) {
      if (given[tag] !== undefined && !LogLevel.allLevels.includes(given[tag])) {
        inner.add(tag, given[tag], "a LogLevel")
      }
    }
    check.findings.push(...inner.findings)
    check.done()
    return Effect.withFiberRuntime<ResilienceEvent.Listener, never, Scope.Scope>((fiber) => {
      const log = new Log(writerOf(fiber), burst, everyMillis, given)
      return Effect.as(Effect.addFinalizer(() => Effect.sync(log.sum)), log.hear)
    })
  })

/**
 * A layer that writes a line for what happens, for everything that is built or run with it.
 *
 * @example
 * import * as Policy from "@holdfast/core/Policy"
 * import * as ResilienceLog from "@holdfast/core/ResilienceLog"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Logger from "effect/Logger"
 *
 * const program = Effect.gen(function*() {
 *   const payments = yield* Policy.standard("payments", { attemptTimeout: "20 millis", retry: false })
 *   return yield* Effect.sleep("1 second").pipe(payments.with({ operation: "POST /charges", requestId: "r-17" }))
 * })
 *
 * // WARN Request to payments (POST /charges) timed out after 20ms, with dependency, endpoint, attempt and request_id as annotations
 * Effect.runPromiseExit(program.pipe(Effect.provide(Layer.merge(ResilienceLog.layer(), Logger.logFmt))))
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<never> =>
  Layer.scopedDiscard(
    Effect.flatMap(make(options), (listener) =>
      Effect.locallyScopedWith(ResilienceEvent.listeners, HashSet.add(listener)))
  )
