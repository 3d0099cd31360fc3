/**
 * An API with two plans: `free` is good for 4 requests a second, `paid` for 3,000 an hour and 50 at once. A search costs three requests,
 * the health check none. Whoever sends too much is told so, and when to come back; a client under `HttpResilience` does as it is told.
 *
 *     node --import tsx examples/src/rateLimitedApi.ts
 *
 * It prints the headers of one answer and of one refusal as a client sees them, then who got how far: the free and the paid plan, the
 * health check, and two free clients with ten requests each, one that asks again every 50 ms and one that waits as it was asked. Both get
 * their ten answers after two seconds; the impatient one needs several times as many requests for them.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as HttpHealth from "@holdfast/http/HttpHealth"
import * as HttpRateLimit from "@holdfast/http/HttpRateLimit"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import { count, table } from "./drawing.js"
import { serve } from "./loopback.js"

/** Who is behind an API key. The limiter is told the customer and not the key: what it is told stands in logs. */
const customers: { readonly [apiKey: string]: { readonly customer: string; readonly plan: "free" | "paid" } } = {
  "key-1": { customer: "Ada", plan: "free" },
  "key-2": { customer: "Bo", plan: "paid" },
  "key-3": { customer: "Cy", plan: "free" },
  "key-4": { customer: "Dee", plan: "free" }
}

/** How ten requests went. */
interface Ten {
  readonly answered: string
  readonly after: string
  readonly waits: ReadonlyArray<number>
}

const startApi = Effect.gen(function*() {
  const customerOf = (request: { readonly headers: { readonly [header: string]: string | undefined } }) =>
    customers[request.headers["x-api-key"] ?? ""]

  const limit = yield* HttpRateLimit.make({
    name: "free",
    rate: 4,
    per: "1 second",
    tiers: { paid: { rate: 3000, per: "1 hour", capacity: 50 } },
    tierOf: (request) => customerOf(request)?.plan,
    key: (request) => customerOf(request)?.customer ?? "nobody",
    cost: (request) => request.url.startsWith("/search") ? 3 : 1
  })

  const limited = limit.middleware(HttpRouter.empty.pipe(
    HttpRouter.get("/orders/:id", HttpServerResponse.text("an order")),
    HttpRouter.get("/search", HttpServerResponse.text("many orders")),
    HttpRouter.get("/health", HttpHealth.handler)
  ))
  // What each customer has sent, refused requests included.
  const sent = new Map<string, number>()
  const counted = Effect.tap(HttpServerRequest.HttpServerRequest, (request) => {
    const customer = customerOf(request)?.customer ?? "nobody"
    sent.set(customer, (sent.get(customer) ?? 0) + 1)
  })
  return { url: yield* serve(Effect.zipRight(counted, limited)), sent }
})

const shown = [
  "x-ratelimit-limit",
  "x-ratelimit-remaining",
  "x-ratelimit-reset",
  "ratelimit-policy",
  "ratelimit",
  "retry-after"
]

const program = Effect.gen(function*() {
  const { sent, url } = yield* startApi
  const plain = yield* HttpClient.HttpClient
  const as = (apiKey: string) =>
    plain.pipe(
      HttpClient.mapRequest(HttpClientRequest.prependUrl(url)),
      HttpClient.mapRequest(HttpClientRequest.setHeader("x-api-key", apiKey))
    )
  const statuses = (client: HttpClient.HttpClient, path: string, times: number) =>
    Effect.map(
      Effect.all(Array.from({ length: times }, () => client.get(path)), { concurrency: "unbounded" }),
      (responses) => {
        const ok = responses.filter(({ status }) => status === 200).length
        return `${ok} of ${times}`
      }
    )
  const show = (asked: string, response: HttpClientResponse.HttpClientResponse) =>
    Effect.gen(function*() {
      yield* Console.log(`${asked}   ${response.status}`)
      for (const header of shown.filter((header) => header in response.headers)) {
        yield* Console.log(`  ${header}: ${response.headers[header]}`)
      }
    })

  const ada = as("key-1")
  yield* show("GET /orders/1", yield* ada.get("/orders/1"))
  const searches = yield* Effect.all(Array.from({ length: 5 }, () => ada.get("/search")), { concurrency: "unbounded" })
  const refused = searches.find(({ status }) => status === 429)
  if (refused !== undefined) {
    yield* show("GET /search, five at once", refused)
    const { detail } = yield* HttpClientResponse.schemaBodyJson(Schema.Struct({ detail: Schema.String }))(refused)
    yield* Console.log(`  "${detail}"\n`)
  }

  yield* Console.log(table([
    ["who", "asks for", "answered"],
    ["Ada, free, nothing left", "10 health checks", yield* statuses(ada, "/health", 10)],
    ["Bo, paid", "20 orders", yield* statuses(as("key-2"), "/orders/1", 20)],
    ["Bo, paid, 30 left", "20 searches at 3 each", yield* statuses(as("key-2"), "/search", 20)]
  ]))

  // Asks again and again until it is answered.
  const impatient = Effect.suspend(() => as("key-3").get("/orders/1")).pipe(
    Effect.tap(() => Effect.sleep("50 millis")),
    Effect.repeat({ until: ({ status }) => status === 200 })
  )
  // Waits as the answer asks: Retry-After is the least delay before the next attempt. The policy is built once and kept.
  const policy = yield* Policy.standard("orders")
  const patient = as("key-4").pipe(HttpResilience.withPolicy(policy)).get("/orders/1")

  const ten = <E>(client: Effect.Effect<HttpClientResponse.HttpClientResponse, E>) =>
    Effect.gen(function*() {
      const waits: Array<number> = []
      const [took, responses] = yield* Effect.all(Array.from({ length: 10 }, () => client), { concurrency: 10 }).pipe(
        Effect.timed,
        ResilienceEvent.listen((event) => {
          if (event._tag === "RetryScheduled") {
            waits.push(Math.round(Duration.toMillis(event.delay)))
          }
        })
      )
      const answered = responses.filter(({ status }) => status === 200).length
      return { answered: `${answered} of 10`, after: `${(Duration.toMillis(took) / 1000).toFixed(1)} s`, waits }
    })
  const cy = yield* ten(impatient)
  const dee = yield* ten(patient)
  const line = (title: string, customer: string, { after, answered, waits }: Ten) => {
    const shortest = waits.length === 0 ? "" : `${Math.min(...waits)} ms`
    return [title, answered, after, count(sent.get(customer) ?? 0), count(waits.length), shortest]
  }
  yield* Console.log("")
  yield* Console.log(table([
    ["free, 10 orders at once", "answered", "after", "requests", "waits", "shortest"],
    line("Cy asks every 50 ms", "Cy", cy),
    line("Dee waits as asked", "Dee", dee)
  ]))
})

await Effect.runPromise(program.pipe(
  Effect.scoped,
  Effect.provide(NodeHttpClient.layerUndici),
  // The limiter warns of those that it limits most; here that is told by the table.
  Logger.withMinimumLogLevel(LogLevel.Error)
))

/* Prints:

GET /orders/1   200
  x-ratelimit-limit: 4
  x-ratelimit-remaining: 3
  x-ratelimit-reset: 1795644485
  ratelimit-policy: "free";q=4;w=1
  ratelimit: "free";r=3;t=1
GET /search, five at once   429
  x-ratelimit-limit: 4
  x-ratelimit-remaining: 1
  x-ratelimit-reset: 1795644486
  ratelimit-policy: "free";q=4;w=1
  ratelimit: "free";r=1;t=1
  retry-after: 1
  "The limit of 4 is used up; try again in 1 s."

who                                    asks for   answered
Ada, free, nothing left        10 health checks   10 of 10
Bo, paid                              20 orders   20 of 20
Bo, paid, 30 left         20 searches at 3 each   10 of 20

free, 10 orders at once   answered   after   requests   waits   shortest
Cy asks every 50 ms       10 of 10   1.8 s         40       0
Dee waits as asked        10 of 10   2.5 s         18       8    1000 ms
*/
