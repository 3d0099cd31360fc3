/**
 * One run of the day: starts the upstreams and the service, sends the load, waits for what is pending, and hands over all
 * that was written down.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import type * as Diagnosis from "@holdfast/core/Diagnosis"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { HttpClients } from "./clients.js"
import { plainClients } from "./clients.js"
import { makeDiagnosis, watched } from "./diagnosis.js"
import { runLoad, warmUp } from "./load.js"
import { protectedCheckout, unprotectedCheckout } from "./orderService.js"
import type { Checkout } from "./orderService.js"
import type { ScaledClock, Scenario } from "./scenario.js"
import { startClock } from "./scenario.js"
import { startService } from "./server.js"
import type { Settlement } from "./settlements.js"
import { followSettlements } from "./settlements.js"
import type { BreakerState, Journal } from "./timeline.js"
import { clear, emptyJournal } from "./timeline.js"
import type { Upstreams } from "./upstreams.js"
import { startUpstreams } from "./upstreams.js"

export type Variant = "unprotected" | "protected"

export interface RunResult {
  readonly variant: Variant
  readonly journal: Journal
  readonly ordersSent: number
  readonly settled: ReadonlyMap<string, Settlement>
  /** How often the bank charged each order. */
  readonly charges: ReadonlyMap<string, number>
  readonly duplicatesAbsorbed: number
  readonly mailsSent: number
  /** What was wrong with the defences, as the figures of their policies show it. */
  readonly diagnosis: ReadonlyArray<Diagnosis.Finding>
}

/** What can be seen of a run while it goes on. */
export interface LiveView {
  readonly variant: Variant
  readonly scenario: Scenario
  readonly clock: ScaledClock
  readonly journal: Journal
  readonly sent: () => number
}

/** Writes the events of the policies into the journal; the state of the payment circuit is read from them as well. */
const listenTo = (journal: Journal, clock: ScaledClock, onBreaker: (state: BreakerState) => void) => {
  const states = { CircuitOpened: "open", CircuitHalfOpened: "half-open", CircuitClosed: "closed" } as const
  const probing = new Set<string>()
  const counted = (what: string) => journal.happenings.push({ at: clock.now(), what, counted: true })
  return (event: ResilienceEvent.ResilienceEvent): void => {
    switch (event._tag) {
      case "CircuitOpened":
      case "CircuitHalfOpened":
      case "CircuitClosed": {
        const state = states[event._tag]
        if (event.dependency === "payment") {
          onBreaker(state)
        }
        const because = state !== "open"
          ? ""
          : probing.has(event.breaker)
          ? ": its probe failed"
          : `: ${event.failures} failures`
        if (state === "half-open") {
          probing.add(event.breaker)
        } else {
          probing.delete(event.breaker)
        }
        journal.happenings.push({
          at: clock.now(),
          what: `${event.dependency} circuit ${state.toUpperCase()}${because}`,
          counted: false
        })
        break
      }
      case "TimeoutFired":
        counted(`${event.call.dependency} timeouts`)
        break
      case "RetryScheduled":
        counted(`${event.call.dependency} retries`)
        break
      case "RetryGivenUp":
        if (event.reason === "budget") {
          counted(`${event.call.dependency} retries over budget`)
        }
        break
      case "BulkheadRejected":
        counted(`${event.call.dependency} calls kept out by the bulkhead`)
        break
      case "CircuitRejected":
        counted(`${event.call.dependency} calls failed fast`)
        break
      case "FallbackServed":
        if (event.kind === "defer") {
          counted("orders taken as pending")
        }
        break
      default:
    }
  }
}

interface Prepared {
  readonly checkout: Checkout<unknown>
  /** How many orders wait for their payment. */
  readonly pending: Effect.Effect<number>
  readonly settled: ReadonlyMap<string, Settlement>
}

const prepareUnprotected = (upstreams: Upstreams, http: HttpClients): Effect.Effect<Prepared, never, Scope.Scope> =>
  Effect.map(unprotectedCheckout(upstreams, watched(http)), (checkout) => ({
    checkout,
    pending: Effect.succeed(0),
    settled: new Map()
  }))

const prepareProtected = (
  upstreams: Upstreams,
  http: HttpClients,
  clock: ScaledClock
): Effect.Effect<Prepared, never, Scope.Scope> =>
  Effect.gen(function*() {
    const checkout = yield* protectedCheckout(upstreams, http, clock)
    const settled = yield* followSettlements(checkout.pendingPayments, checkout.notify)
    return { checkout, pending: checkout.pendingPayments.pending, settled }
  })

/** Tells the phases of the day, so that the timeline shows cause and effect. */
const tellPhases = (scenario: Scenario, clock: ScaledClock, journal: Journal): Effect.Effect<void> =>
  Effect.forEach(
    [
      { at: scenario.notification.flapsFrom, what: "--- notification begins to flap" },
      {
        at: scenario.payment.slowFrom,
        what:
          `--- payment turns SLOW: ${scenario.payment.slowLatency} s instead of ${scenario.payment.healthyLatency} s`
      },
      { at: scenario.payment.slowUntil, what: "--- payment is well again" },
      { at: scenario.notification.flapsUntil, what: "--- notification is well again" }
    ].sort((a, b) => a.at - b.at),
    ({ at, what }) =>
      Effect.zipRight(
        Effect.sleep(clock.seconds(Math.max(0, at - clock.now()))),
        Effect.sync(() => journal.happenings.push({ at: clock.now(), what, counted: false }))
      ),
    { discard: true }
  )

/** Runs the day once. `watch` sees the run from its beginning and is stopped with it. */
export const runDay = (
  scenario: Scenario,
  variant: Variant,
  watch: (view: LiveView) => Effect.Effect<void>
): Effect.Effect<RunResult> =>
  Effect.scoped(Effect.gen(function*() {
    const journal = emptyJournal()
    let breaker: BreakerState | undefined = variant === "protected" ? "closed" : undefined

    // The clock starts when everything stands and is warm.
    let clock = startClock(scenario.scale)
    const shared: ScaledClock = {
      scale: scenario.scale,
      now: () => clock.now(),
      seconds: (seconds) => clock.seconds(seconds),
      millis: (seconds) => clock.millis(seconds)
    }
    const diagnosis = yield* makeDiagnosis(shared)
    const program = Effect.gen(function*() {
      const upstreams = yield* startUpstreams(scenario, shared)
      const http = yield* plainClients((millis) => {
        const seconds = millis / 1000 * scenario.scale
        journal.paymentAttempts.push({ startedAt: shared.now() - seconds, seconds })
      })
      const { checkout, pending, settled } = yield* variant === "protected"
        ? prepareProtected(upstreams, http, shared)
        : prepareUnprotected(upstreams, http)
      const service = yield* startService(scenario, shared, checkout, variant === "protected")
      const targets = { service: service.url, control: upstreams.controlUrl }
      yield* Effect.timeoutOption(warmUp(targets, 60), "2 seconds")
      // On a busy machine even a healthy payment may be late: what the warm-up left behind must not count as the day's.
      yield* Effect.repeat(Effect.sleep(50), { while: () => Effect.map(pending, (waiting) => waiting > 0) }).pipe(
        Effect.timeoutOption("2 seconds")
      )
      upstreams.forget()
      clear(journal)
      yield* diagnosis.forget
      clock = startClock(scenario.scale)

      const progress = { sent: 0 }
      const read = Effect.zipWith(pending, service.queued, (waiting, queued) => {
        const busy = service.busy()
        journal.readings.push({ at: shared.now(), busy, queued, breaker, pending: waiting })
        return waiting + busy + queued
      })
      yield* Effect.forkScoped(Effect.forever(Effect.zipRight(read, Effect.sleep(50))))
      yield* Effect.forkScoped(tellPhases(scenario, shared, journal))
      yield* Effect.forkScoped(watch({ variant, scenario, clock: shared, journal, sent: () => progress.sent }))
      yield* runLoad(scenario, shared, targets, journal, progress)

      const deadline = shared.now() + scenario.settleWithin
      while ((yield* read) > 0 && shared.now() < deadline) {
        yield* Effect.sleep(50)
      }
      return {
        variant,
        journal,
        ordersSent: progress.sent,
        settled: new Map(settled),
        charges: new Map(upstreams.ledger.charges),
        duplicatesAbsorbed: upstreams.ledger.duplicates,
        mailsSent: upstreams.mailsSent(),
        diagnosis: yield* diagnosis.read
      } satisfies RunResult
    })
    return yield* program.pipe(
      ResilienceEvent.listen(listenTo(journal, shared, (state) => {
        breaker = state
      })),
      ResilienceEvent.listen(diagnosis.listener),
      Effect.provide(ResilienceMetrics.layer())
    )
  })).pipe(
    Effect.provide(Layer.merge(NodeHttpClient.layerUndici, DependencyRegistry.layer)),
    // Nobody collects the spans.
    Effect.withTracerEnabled(false)
  )
