/**
 * Runs one shape against `Policy.standard` with its defaults and tells what fired, and when.
 */
import * as Backoff from "@holdfast/core/Backoff"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { table } from "../drawing.js"
import type { CallFailed, Shape, Story } from "./dependency.js"

/** One row of the table. Times are in seconds of the story, so that a shortened run reads like the long one. */
export interface Row {
  readonly shape: Shape
  /** From the first sick answer to the opening; `undefined` if it never opened. */
  readonly openedAfterSeconds: number | undefined
  /** Calls that ended between the first sick second and the opening. */
  readonly callsBeforeOpening: number | undefined
  readonly trips: number
  /** From the recovery to the closing. */
  readonly closedAfterSeconds: number | undefined
  /** What callers saw while it was sick, by tag, with counts. */
  readonly seen: Readonly<Record<string, number>>
  /** The longest time a caller waited. */
  readonly longestCallSeconds: number
  readonly retries: number
  /** What fired: "nothing" would be a bug. */
  readonly fired: ReadonlyArray<string>
}

/** Each observation builds a policy of its own, under a name of its own. */
let observations = 0

export const observe = (
  shape: Shape,
  plan: Story,
  call: Effect.Effect<string, CallFailed>,
  options: Policy.StandardOptions = {}
): Effect.Effect<Row> =>
  Effect.gen(function*() {
    const seconds = (millis: number) => Math.round(millis / plan.scale / 100) / 10
    const total = (plan.healthyMillis + plan.sickMillis + plan.recoveredMillis) * plan.scale
    const sickFrom = plan.healthyMillis * plan.scale
    const sickUntil = sickFrom + plan.sickMillis * plan.scale
    const start = yield* Clock.currentTimeMillis
    const policy = yield* Policy.standard(`${shape} ${++observations}`, options)
    const seen: Record<string, number> = {}
    const fired = new Set<string>()
    let opened: number | undefined
    let callsBeforeOpening: number | undefined
    let closed: number | undefined
    let trips = 0
    let retries = 0
    let ended = 0
    let longest = 0
    const listener = (now: () => number) => (event: ResilienceEvent.ResilienceEvent) => {
      const at = now() - start
      switch (event._tag) {
        case "CircuitOpened":
          trips++
          fired.add("circuit breaker")
          if (opened === undefined) {
            opened = at - sickFrom
            callsBeforeOpening = ended
          }
          closed = undefined
          break
        case "CircuitClosed":
          closed = at - sickUntil
          break
        case "RetryScheduled":
          retries++
          fired.add("retry")
          break
        case "TimeoutFired":
          fired.add(`${event.scope} timeout`)
          break
        case "RetryGivenUp":
          if (event.reason === "budget") {
            fired.add("retry budget")
          }
          break
      }
    }
    const clock = yield* Effect.clock
    const one = Effect.gen(function*() {
      const began = yield* Clock.currentTimeMillis
      const exit = yield* Effect.exit(policy(call))
      const now = yield* Clock.currentTimeMillis
      longest = Math.max(longest, now - began)
      if (began - start >= sickFrom && began - start < sickUntil) {
        ended++
        const tag = exit._tag === "Success"
          ? "answer"
          : Option.match(Cause.failureOption(exit.cause), { onNone: () => "defect", onSome: (error) => error._tag })
        seen[tag] = (seen[tag] ?? 0) + 1
      }
    })
    const gap = (1000 / plan.callsPerSecond) * plan.scale
    const load = Effect.gen(function*() {
      const calls = Math.round(total / gap)
      for (let made = 0; made < calls; made++) {
        yield* Effect.fork(one)
        // By the clock and not by the gap: a late tick must not thin the load out.
        const due = start + (made + 1) * gap
        yield* Effect.sleep(Math.max(0, due - (yield* Clock.currentTimeMillis)))
      }
      // The last calls may still be under way.
      yield* Effect.sleep(11_000 * plan.scale)
    })
    yield* load.pipe(ResilienceEvent.listen(listener(() => clock.unsafeCurrentTimeMillis())))
    return {
      shape,
      openedAfterSeconds: opened === undefined ? undefined : seconds(opened),
      callsBeforeOpening,
      trips,
      closedAfterSeconds: opened === undefined || closed === undefined ? undefined : seconds(closed),
      seen,
      longestCallSeconds: seconds(longest),
      retries,
      fired: [...fired].sort()
    }
  })

/** The standard options with every duration multiplied: for sockets in a hurry. The defaults when `scale` is 1. */
export const scaled = (scale: number): Policy.StandardOptions =>
  scale === 1 ? {} : {
    totalTimeout: 10_000 * scale,
    attemptTimeout: 3_000 * scale,
    circuitBreaker: { openDuration: 30_000 * scale, ...scaledTrip(scale) },
    retry: {
      schedule: scaledBackoff(scale),
      budget: { minimumPerSecond: 1 / scale, ttl: Math.max(1_000, 10_000 * scale) }
    }
  }

const scaledBackoff = (scale: number) => Backoff.exponential(200 * scale, { cap: 5_000 * scale })

const scaledTrip = (scale: number): Pick<CircuitBreaker.Options, "tripPolicy"> => ({
  tripPolicy: CircuitBreaker.any(
    CircuitBreaker.failureRate({ threshold: 0.5, window: 30_000 * scale, minimumCalls: 20 }),
    CircuitBreaker.consecutive(10)
  )
})

const cellsOf = (row: Row): ReadonlyArray<string> => [
  row.shape,
  row.openedAfterSeconds === undefined ? "never" : `${row.openedAfterSeconds} s`,
  row.callsBeforeOpening === undefined ? "-" : String(row.callsBeforeOpening),
  String(row.trips),
  row.closedAfterSeconds === undefined ? "-" : `${row.closedAfterSeconds} s`,
  `${row.longestCallSeconds} s`,
  String(row.retries)
]

const firedOf = (row: Row): string => row.fired.join(", ") || "nothing"

const seenOf = (row: Row): string =>
  Object.entries(row.seen).sort((a, b) => b[1] - a[1]).map(([tag, count]) => `${count} ${tag}`).join(", ")

const head = ["shape", "opened after", "calls until then", "trips", "closed after recovery", "longest call", "retries"]
const firedHead = "what fired"
const seenHead = "what callers saw while it was sick"

/** Figures first, words below: all of it in one table would be wider than a terminal. */
export const format = (rows: ReadonlyArray<Row>): string => {
  const words = (title: string, of: (row: Row) => string) =>
    [["shape", title] as const, ...rows.map((row) => [row.shape, of(row)] as const)]
      .map(([shape, text]) => `${shape.padEnd(12)}${text}`).join("\n")
  return [table([head, ...rows.map(cellsOf)]), words(seenHead, seenOf), words(firedHead, firedOf)].join("\n\n")
}

/** The table of the documentation. */
export const markdown = (rows: ReadonlyArray<Row>): string => {
  const whole = [...head, firedHead, seenHead]
  return [whole, whole.map(() => "---"), ...rows.map((row) => [...cellsOf(row), firedOf(row), seenOf(row)])]
    .map((cells) => `| ${cells.join(" | ")} |`).join("\n")
}
