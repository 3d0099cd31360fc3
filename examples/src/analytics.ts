/**
 * Analytics that nobody waits for. While the collector is away, events go to a buffer of 100 and are sent later; when the buffer is full,
 * the newest is dropped and counted. The reader of the page notices none of it.
 *
 *     node --import tsx examples/src/analytics.ts
 *
 * It prints, for each part of the story, how many pages were answered, the slowest of them, and what became of their events; and at last
 * what the collector has. Every event is accounted for: collected, or counted as dropped. One may have been sent twice, when its answer
 * was lost or late; it carries an id, and counts once.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Backoff from "@holdfast/core/Backoff"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Fallback from "@holdfast/core/Fallback"
import * as Policy from "@holdfast/core/Policy"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { count, table } from "./drawing.js"
import { serve } from "./loopback.js"
import { type Reaction, upstream } from "./upstream.js"

interface Event {
  readonly id: string
  readonly page: string
}

/** Counts by id: an event that was sent twice is one event all the same. */
const startCollector = Effect.gen(function*() {
  const collected = new Map<string, number>()
  const collector = { collected, state: "well" as "well" | "hung" | "down" }
  const url = yield* upstream(({ body }): Reaction => {
    if (collector.state !== "well") {
      return collector.state === "hung" ? "hang" : { status: 503, body: {} }
    }
    const { id } = JSON.parse(body) as Event
    collected.set(id, (collected.get(id) ?? 0) + 1)
    return { status: 202, body: {} }
  })
  return { url, collector }
})

/** Sends events, now or later; `track` returns at once, and never fails. */
const makeTracker = (url: string) =>
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
      // While the circuit is open an event waits as long as the circuit says, if that is longer.
      schedule: Backoff.constant("100 millis"),
      id: (event: Event) => event.id,
      drainFor: "2 seconds"
    })
    // The buffer refuses what it has no room for. So the newest is dropped: those in it came first, and have waited.
    const later = Fallback.make({
      name: "analytics",
      dependency: "analytics",
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

const program = Effect.gen(function*() {
  const { collector, url: collectorUrl } = yield* startCollector
  const { buffer, counted, track } = yield* makeTracker(collectorUrl)
  let views = 0
  const shop = yield* serve(HttpRouter.empty.pipe(
    HttpRouter.get(
      "/",
      Effect.as(
        Effect.suspend(() => track({ id: `view-${++views}`, page: "/" })),
        HttpServerResponse.text("a page")
      )
    )
  ))
  const client = yield* HttpClient.HttpClient

  const until = (condition: () => boolean) =>
    Effect.sleep("20 millis").pipe(Effect.repeat({ until: condition }), Effect.timeout("30 seconds"))
  const accounted = () => collector.collected.size + counted.dropped === views

  const rows: Array<ReadonlyArray<string>> = []
  const part = (title: string, pages: number, end: Effect.Effect<unknown, unknown> = Effect.void) =>
    Effect.gen(function*() {
      const before = { collected: collector.collected.size, dropped: counted.dropped }
      let answered = 0
      let slowest = 0
      const ask = Effect.gen(function*() {
        const startedAt = performance.now()
        const response = yield* client.get(shop)
        answered += response.status === 200 && (yield* response.text) === "a page" ? 1 : 0
        slowest = Math.max(slowest, performance.now() - startedAt)
      })
      yield* Effect.all(Array.from({ length: pages }, () => ask), { concurrency: 4, discard: true })
      yield* end
      rows.push([
        title,
        pages === 0 ? "" : `${answered} of ${pages}`,
        pages === 0 ? "" : `${Math.ceil(slowest)} ms`,
        count(collector.collected.size - before.collected),
        count(yield* buffer.pending),
        count(counted.dropped - before.dropped)
      ])
    })

  yield* part("the collector is well", 50, until(accounted))
  collector.state = "hung"
  yield* part("it hangs", 50)
  collector.state = "down"
  yield* part("it answers 503", 150)
  collector.state = "well"
  yield* part("it is well again", 0, until(accounted))

  yield* Console.log(table([["", "pages", "slowest", "collected", "in the buffer", "dropped"], ...rows]))
  const twice = [...collector.collected.values()].filter((times) => times > 1).length
  yield* Console.log(
    `\n${views} events: ${collector.collected.size} collected, ${counted.dropped} dropped; ${twice} were sent twice`
  )
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici)))

/* Prints:

                             pages   slowest   collected   in the buffer   dropped
the collector is well     50 of 50    474 ms          50               0         0
it hangs                  50 of 50    150 ms           0              46         0
it answers 503          150 of 150    202 ms           0             100       100
it is well again                                     100               0         0

250 events: 150 collected, 100 dropped; 0 were sent twice
*/
