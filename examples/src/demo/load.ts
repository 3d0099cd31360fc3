/**
 * The users: orders and catalog pages at a steady rate, whether the service keeps up or not, and a load balancer that asks
 * for its health.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { ScaledClock, Scenario } from "./scenario.js"
import type { Journal, Result, Route } from "./timeline.js"

interface Reply {
  readonly status: number
  readonly body: any
}

/** One request by plain node:http: the load generator must not be the slow part. Interruption hangs up. */
const send = (
  agent: Http.Agent,
  method: string,
  url: string,
  patienceMillis: number,
  body?: unknown
): Effect.Effect<Reply, string> =>
  Effect.async<Reply, string>((resume) => {
    const request = Http.request(
      url,
      { agent, method, headers: { "content-type": "application/json" } },
      (response) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk) => chunks.push(chunk))
        response.on("error", (error) => resume(Effect.fail(error.message)))
        response.on("end", () => {
          clearInterval(timer)
          const text = Buffer.concat(chunks).toString()
          resume(Effect.succeed({ status: response.statusCode ?? 0, body: text === "" ? undefined : JSON.parse(text) }))
        })
      }
    )
    // Counted in tenths: service and users share one process, and when the machine stops it for a second, its users stand still too.
    let tenths = 0
    const timer = setInterval(() => {
      if (++tenths === 10) {
        clearInterval(timer)
        resume(Effect.fail("no answer in time"))
        request.destroy()
      }
    }, patienceMillis / 10)
    request.on("error", (error) => {
      clearInterval(timer)
      resume(Effect.fail(error.message))
    })
    request.end(body === undefined ? undefined : JSON.stringify(body))
    return Effect.sync(() => {
      clearInterval(timer)
      request.destroy()
    })
  })

const makeAgent: Effect.Effect<Http.Agent, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => new Http.Agent({ keepAlive: true })),
  (agent) => Effect.sync(() => agent.destroy())
)

/** Starts `visit` at a steady rate, each visit on its own: a slow answer delays nobody else. Ends when all visits have ended. */
const steadily = (
  clock: ScaledClock,
  until: number,
  perSecond: number,
  visit: (number: number) => Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.scoped(Effect.gen(function*() {
    const scope = yield* Effect.scope
    const visits = []
    const begun = performance.now()
    for (let number = 0; clock.now() < until; number++) {
      const due = begun + number * 1000 / perSecond
      const early = due - performance.now()
      if (early > 0) {
        yield* Effect.sleep(early)
      }
      visits.push(yield* Effect.forkIn(visit(number), scope))
    }
    for (const visit of visits) {
      yield* visit.await
    }
  }))

/** Sends the whole day's load to the service and writes down what its users saw. */
export const runLoad = (
  scenario: Scenario,
  clock: ScaledClock,
  targets: { readonly service: string; readonly control: string },
  journal: Journal,
  progress: { sent: number }
): Effect.Effect<void> =>
  Effect.scoped(Effect.gen(function*() {
    const agent = yield* makeAgent
    const patience = clock.millis(scenario.load.patience)

    const timed = (request: Effect.Effect<Reply, string>) =>
      Effect.suspend(() => {
        const startedAt = clock.now()
        const started = performance.now()
        return Effect.map(Effect.either(request), (reply) => ({
          reply,
          startedAt,
          endedAt: clock.now(),
          latencyMillis: performance.now() - started
        }))
      })

    const write = (
      route: Route,
      orderId: string | undefined,
      { reply, ...times }: Effect.Effect.Success<ReturnType<typeof timed>>,
      twinMillis: number | undefined
    ) => {
      const [result, because] = Either.match(reply, {
        onLeft: (reason): [Result, string | undefined] => ["failed", reason],
        onRight: ({ body, status }): [Result, string | undefined] =>
          status >= 500 ? ["failed", `status ${status}`] : [body?.status ?? "served", undefined]
      })
      journal.samples.push({ route, orderId, ...times, twinMillis, result, because })
    }

    const order = (number: number) => {
      const id = `order-${number}`
      progress.sent++
      const request = send(agent, "POST", `${targets.service}/orders`, patience, { id, number, total: 80 })
      return Effect.map(timed(request), (seen) => write("order", id, seen, undefined))
    }

    const catalog = () =>
      Effect.all([
        timed(send(agent, "GET", `${targets.service}/catalog`, patience)),
        timed(send(agent, "GET", targets.control, patience))
      ], { concurrency: 2 }).pipe(
        Effect.map(([seen, twin]) => write("catalog", undefined, seen, twin.latencyMillis))
      )

    yield* Effect.all([
      steadily(clock, scenario.length, scenario.load.ordersPerSecond, order),
      steadily(clock, scenario.length, scenario.load.catalogPerSecond, catalog),
      Effect.raceFirst(
        watchHealth(clock, agent, targets.service, journal),
        Effect.sleep(clock.seconds(scenario.length))
      )
    ], { concurrency: "unbounded", discard: true })
  }))

/** The load balancer: asks every 10 s, waits 5 s, and believes three answers of a kind, as load balancers do. */
const watchHealth = (clock: ScaledClock, agent: Http.Agent, url: string, journal: Journal): Effect.Effect<never> =>
  Effect.suspend(() => {
    let healthy = true
    let contrary = 0
    const check = Effect.match(send(agent, "GET", `${url}/health`, clock.millis(5)), {
      onSuccess: ({ status }) => status === 200,
      onFailure: () => false
    })
    const judge = (alive: boolean) => {
      contrary = alive === healthy ? 0 : contrary + 1
      if (contrary === 3) {
        healthy = alive
        contrary = 0
        const what = alive
          ? "load balancer: server is healthy again"
          : "load balancer: server UNHEALTHY, 3 checks failed"
        journal.happenings.push({ at: clock.now(), what, counted: false })
      }
    }
    return Effect.forever(Effect.zipRight(Effect.map(check, judge), Effect.sleep(clock.seconds(10))))
  })

/** Orders and pages before the clock starts, so that nobody measures how Node compiles the service. */
export const warmUp = (
  targets: { readonly service: string; readonly control: string },
  visits: number
): Effect.Effect<void> =>
  Effect.scoped(Effect.flatMap(makeAgent, (agent) =>
    Effect.forEach(
      Array.from({ length: visits }, (_, number) => number),
      (number) =>
        Effect.all([
          Effect.ignore(
            send(agent, "POST", `${targets.service}/orders`, 5000, { id: `warm-up-${number}`, number: 0, total: 80 })
          ),
          Effect.ignore(send(agent, "GET", `${targets.service}/catalog`, 5000)),
          Effect.ignore(send(agent, "GET", targets.control, 5000))
        ]),
      { concurrency: 4, discard: true }
    )))
