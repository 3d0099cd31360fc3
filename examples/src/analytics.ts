/**
 * Analytics that nobody waits for. While the collector is away, events go to a buffer of 100 and are sent later; when the buffer is full,
 * the newest is dropped and counted. The reader of the page notices none of it.
 *
 *     node --import tsx examples/src/analytics.ts
 *
 * The client and its buffer: analytics/tracker.ts
 *
 * It prints, for each part of the story, how many pages were answered, the slowest of them, and what became of their events; and at last
 * what the collector has. Every event is accounted for: collected, or counted as dropped. One may have been sent twice, when its answer
 * was lost or late; it carries an id, and counts once.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { type Event, makeTracker } from "./analytics/tracker.js"
import { count, table } from "./drawing.js"
import { serve } from "./loopback.js"
import { type Reaction, upstream } from "./upstream.js"

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
