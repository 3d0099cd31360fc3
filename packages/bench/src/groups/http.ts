import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as Policy from "@holdfast/core/Policy"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Effect from "effect/Effect"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { breakerByHand, exponentially } from "../contenders/effects.js"
import { composed } from "../contenders/holdfast.js"
import type { Figures, Group } from "../Group.js"
import { collectYoung, cpuMicros } from "../measure.js"
import { median } from "../statistics.js"

const concurrency = 50
const requests = 1_500

type Client = HttpClient.HttpClient.With<unknown>

/** What somebody puts around each request from Effect's own parts. */
const aroundEach = (
  client: HttpClient.HttpClient,
  apply: <A>(
    self: Effect.Effect<A, HttpClientError.HttpClientError>
  ) => Effect.Effect<A, unknown>
): Client => HttpClient.transform(client, (effect) => apply(effect)) as Client

type Clients = Readonly<Record<string, Client>>

const clientsOf = (plain: HttpClient.HttpClient): Clients => {
  const breaker = breakerByHand()
  const semaphore = Effect.unsafeMakeSemaphore(concurrency)
  return {
    "plain client": plain,
    "standard": plain.pipe(HttpResilience.withPolicy(Effect.runSync(Policy.standard("http")))),
    "standard, no headers": plain.pipe(
      HttpResilience.withPolicy(Effect.runSync(Policy.standard("http, no headers")), { headers: false })
    ),
    "standard, as a combinator": aroundEach(plain, Effect.runSync(Policy.standard("combinator"))),
    "four, composed": plain.pipe(HttpResilience.withPolicy(composed("http, composed"))),
    "retryTransient and timeout": HttpClient.transform(
      plain.pipe(HttpClient.retryTransient({ schedule: exponentially, times: 2 })),
      Effect.timeout("3 seconds")
    ) as Client,
    "built-ins": aroundEach(plain, (self) =>
      self.pipe(
        Effect.timeout("3 seconds"),
        Effect.retry({ schedule: exponentially, times: 2 }),
        breaker,
        semaphore.withPermits(1)
      ))
  }
}

const startServer = (): Promise<{ readonly url: string; readonly stop: () => void }> =>
  new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL("../httpServer.js", import.meta.url)))
    child.once("error", reject)
    child.once(
      "message",
      (port) => resolve({ url: `http://127.0.0.1:${String(port)}/`, stop: () => child.disconnect() })
    )
  })

/** The requests of one round, and what they took. */
const round = (client: Client, url: string): Effect.Effect<Figures, unknown> =>
  Effect.suspend(() => {
    const request = Effect.scoped(Effect.flatMap(client.get(url), (response) => response.json))
    collectYoung()
    const before = cpuMicros()
    const began = performance.now()
    return Effect.map(
      Effect.forEach(Array.from({ length: requests }), () => request, { concurrency, discard: true }),
      () => ({
        micros: (cpuMicros() - before) / requests,
        perSecond: requests / ((performance.now() - began) / 1000)
      })
    )
  })

const everyRound = (clients: Clients, url: string, rounds: number) =>
  Effect.gen(function*() {
    const all = Object.entries(clients)
    const found = all.map((): Array<Figures> => [])
    // The first two rounds are the warm-up.
    for (let made = -2; made < rounds; made++) {
      for (let turn = 0; turn < all.length; turn++) {
        const index = (turn + made + 2) % all.length
        const figures = yield* round(all[index]![1], url)
        if (made >= 0) {
          found[index]!.push(figures)
        }
      }
    }
    return Object.fromEntries(all.map(([title], index) => [
      title,
      Object.fromEntries(
        ["micros", "perSecond"].map((key) => [key, median(found[index]!.map((figures) => figures[key]!))])
      )
    ]))
  })

/** The answers say how long they are, as those of most servers do, or not. */
const measured = (url: string, rounds: number) =>
  Effect.gen(function*() {
    const clients = clientsOf(yield* HttpClient.HttpClient)
    const { "plain client": plain, standard } = clients
    return {
      "loopback": yield* everyRound(clients, url, rounds),
      "loopback, length not told": yield* everyRound(
        { "plain client": plain!, standard: standard! },
        `${url}parts`,
        rounds
      )
    }
  }).pipe(Effect.provide(NodeHttpClient.layerUndici))

export const group: Group = {
  name: "http",
  title: `HTTP on loopback with undici, ${concurrency} requests at once, the server in a process of its own`,
  columns: [
    { key: "perSecond", title: "requests/s", digits: 0 },
    { key: "micros", title: "us CPU", digits: 1 }
  ],
  run: async (settings) => {
    const server = await startServer()
    try {
      return await Effect.runPromise(measured(server.url, settings.rounds))
    } finally {
      server.stop()
    }
  }
}
