/** Events for a collector that may be away: sent now, or later from a bounded buffer, or dropped and counted. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Backoff from "@holdfast/core/Backoff"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Fallback from "@holdfast/core/Fallback"
import * as Policy from "@holdfast/core/Policy"
import * as HttpFailure from "@holdfast/http/HttpFailure"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Effect from "effect/Effect"

export interface Event {
  readonly id: string
  readonly page: string
}

/** Sends events, now or later; `track` returns at once, and never fails. */
export const makeTracker = (url: string) =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    // Five places: a collector that hangs holds on to no more than that. No retry: later is what the buffer is for. The times are short
    // for the sake of the story; in earnest the circuit stays open for half a minute.
    const policy = yield* Policy.standard("analytics", {
      totalTimeout: false,
      attemptTimeout: "1 second",
      retry: false,
      bulkhead: { maxConcurrent: 5 },
      circuitBreaker: { tripPolicy: CircuitBreaker.lowTraffic, openDuration: "300 millis" }
    })
    const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient).pipe(
      HttpResilience.withPolicy(policy, { facts: () => ({ repeatable: true, criticality: "optional" }) })
    )
    const send = (event: Event) =>
      HttpClientRequest.post(url).pipe(HttpClientRequest.bodyUnsafeJson(event), client.execute)

    const counted = { dropped: 0 }
    const buffer = yield* Fallback.DeferralQueue.make({
      name: "analytics buffer",
      capacity: 100,
      settle: send,
      // The classifier of HTTP: an event that the collector refuses for good, by a 400, has had its answer and is not sent again.
      classify: HttpFailure.classify,
      // While the circuit is open an event waits as long as the circuit says, if that is longer.
      schedule: Backoff.constant("100 millis"),
      id: (event: Event) => event.id,
      drainFor: "2 seconds"
    })
    // The buffer refuses what it has no room for. So the newest is dropped: those in it came first, and have waited.
    const later = Fallback.make({
      name: "analytics",
      dependency: "analytics",
      // The same here: what was refused for good must not go to the buffer, from which it would be sent once more.
      classify: HttpFailure.classify,
      tiers: [
        Fallback.defer(buffer),
        Fallback.tier({ name: "dropped", kind: "disable", run: () => Effect.sync(() => counted.dropped++) })
      ]
    })

    // Detached: the deadline of the page is not that of its event.
    const track = (event: Event) =>
      send(event).pipe(later.with(event), Effect.ignore, Deadline.detached, Effect.forkIn(scope), Effect.asVoid)

    return { track, buffer, counted }
  })
