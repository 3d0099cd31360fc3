/**
 * The timeout cascade over three hops: A calls B, B calls C, each a real HTTP server. The user of A gets an answer within 500 ms, or an error. But
 * B and C do not know that: B waits on, tries again, and C goes on computing what nobody will read. With the deadline in the headers,
 * everybody stops when A does.
 *
 * Handlers run on workers here, as in most servers: a worker is not told that the client has hung up. (A handler of `@effect/platform` is,
 * unless a proxy, a queue or a worker stands between.)
 *
 *     node --import tsx examples/src/timeoutCascade.ts
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Backoff from "@holdfast/core/Backoff"
import * as Policy from "@holdfast/core/Policy"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as HttpDeadline from "@holdfast/http/HttpDeadline"
import * as HttpProblem from "@holdfast/http/HttpProblem"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { table } from "./drawing.js"
import { serve } from "./loopback.js"

const users = 10

/** The first request opens connections and compiles code; it is answered at once and not counted. */
const warmUp = "nobody"

/** What A gives a call to B. */
const atA = Timeout.make("500 millis", { scope: "total", dependency: "B" })

/** What B gives a call to C: longer than its caller has, which is the mistake. */
const atB = Policy.compose(
  Timeout.make("2 seconds", { scope: "total", dependency: "C" }),
  Retry.make({ maxRetries: 1, schedule: Backoff.constant("100 millis", { jitter: "none" }) }),
  Timeout.make("700 millis", { dependency: "C" })
)

/** What C gives its own work: 20 pieces of 50 ms each. */
const atC = Timeout.make("5 seconds", { scope: "total" })

interface Span {
  readonly service: string
  readonly user: string
  readonly from: number
  to: number
}

const run = (propagate: boolean) =>
  Effect.scoped(Effect.gen(function*() {
    const plain = yield* HttpClient.HttpClient
    const spans: Array<Span> = []
    const pieces: Array<{ readonly user: string; readonly at: number }> = []
    let working = 0

    /** One service: its work for a user runs on a worker from its first line to its last, and is written down. */
    const service = (name: string, work: (user: string) => Effect.Effect<unknown, unknown>) => {
      const app: HttpApp.Default = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const user = request.url.slice(1)
        const span: Span = { service: name, user, from: performance.now(), to: Infinity }
        const job = Effect.suspend(() => {
          working++
          spans.push(span)
          return Effect.ensuring(
            work(user),
            Effect.sync(() => {
              working--
              span.to = performance.now()
            })
          )
        })
        // Forked, so that only the waiting for the answer ends when the client hangs up. What is forked inherits the deadline.
        return Effect.flatMap(Effect.forkDaemon(Effect.interruptible(job)), Fiber.join).pipe(
          Effect.as(HttpServerResponse.text("done")),
          Effect.catchIf(HttpProblem.isHandled, (error) =>
            Effect.succeed(HttpProblem.response(HttpProblem.make()(error)))),
          Effect.catchAll(() =>
            Effect.succeed(HttpServerResponse.empty({ status: 502 }))
          )
        )
      })
      return serve(propagate ? HttpDeadline.middleware()(app) : app)
    }
    /** A client under a policy, which tells the next service how much time is left, or does not. */
    const client = <E>(policy: Policy.Policy<E>) => {
      const guarded = plain.pipe(HttpResilience.withPolicy(policy, propagate ? {} : { headers: { deadline: false } }))
      return (url: string) =>
        Effect.flatMap(guarded.get(url), (response) =>
          response.status === 200 ? Effect.void : Effect.fail(response.status))
    }

    const toC = client(atB)
    const toB = client(atA)
    const piece = (user: string) =>
      Effect.zipRight(
        Effect.sleep("50 millis"),
        Effect.sync(() =>
          pieces.push({ user, at: performance.now() })
        )
      )
    const c = yield* service("C", (user) => user === warmUp ? Effect.void : atC(Effect.repeatN(piece(user), 19)))
    const b = yield* service("B", (user) => toC(`${c}/${user}`))
    const a = yield* service("A", (user) => toB(`${b}/${user}`))

    yield* Effect.scoped(plain.get(`${a}/${warmUp}`))
    spans.length = 0
    yield* Effect.forEach(
      Array.from({ length: users }, (_, index) => `user-${index}`),
      (user) => Effect.scoped(plain.get(`${a}/${user}`)),
      { concurrency: "unbounded" }
    )
    while (working > 0) {
      yield* Effect.sleep("20 millis")
    }
    return { spans, pieces }
  }))

type Run = Effect.Effect.Success<ReturnType<typeof run>>

const spansOf = ({ spans }: Run, service: string) => spans.filter((span) => span.service === service)

/** The request of the first user, so many milliseconds to a character. */
const draw = (result: Run, millis: number): string => {
  const own = result.spans.filter(({ user }) => user === "user-0")
  const [first] = own.filter(({ service }) => service === "A")
  const columnOf = (at: number) => Math.round((at - first!.from) / millis)
  const line = (service: string) => {
    const characters = Array.from({ length: 60 }, () => " ")
    for (const { from, to } of own.filter((span) => span.service === service)) {
      for (let column = columnOf(from); column < columnOf(to); column++) {
        characters[column] = column < columnOf(first!.to) ? "█" : "░"
      }
    }
    return `  ${service} |${characters.join("").trimEnd()}`
  }
  return ["A", "B", "C"].map(line).join("\n")
}

const seconds = (spans: ReadonlyArray<Span>) =>
  `${(spans.reduce((sum, { from, to }) => sum + to - from, 0) / 1000).toFixed(1)} s`

const afterwards = (result: Run): number => {
  const left = new Map(spansOf(result, "A").map(({ to, user }) => [user, to]))
  return result.pieces.filter(({ at, user }) => at > left.get(user)!).length
}

const program = Effect.gen(function*() {
  const without = yield* run(false)
  const headers = yield* run(true)
  const longest = Math.max(...without.spans.map(({ to }) => to)) - Math.min(...without.spans.map(({ from }) => from))
  const millis = Math.max(40, Math.ceil(longest / 60))
  console.log(`One request, ${millis} ms to a character: █ while A waits for the answer, ░ afterwards\n`)
  console.log(`no deadline in the headers\n${draw(without, millis)}\n`)
  console.log(`with the deadline in the headers\n${draw(headers, millis)}\n`)
  const row = (
    what: string,
    figure: (result: Run) => number | string
  ) => [what, String(figure(without)), String(figure(headers))]
  console.log(table([
    [`${users} requests of users`, "without", "with"],
    row("requests that reached C", (result) => spansOf(result, "C").length),
    row("workers of B held for", (result) => seconds(spansOf(result, "B"))),
    row("workers of C held for", (result) => seconds(spansOf(result, "C"))),
    row("pieces of work done by C", ({ pieces }) => pieces.length),
    row("of them after the caller had left", afterwards)
  ]))
})

await Effect.runPromise(program.pipe(Effect.provide(NodeHttpClient.layerUndici)))

/* Prints, for example:

One request, 52 ms to a character: █ while A waits for the answer, ░ afterwards

no deadline in the headers
  A |███████████████
  B |███████████████░░░░░░░░░░░░░░░░░░░░░░░░
  C | ██████████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░

with the deadline in the headers
  A |██████████
  B |██████████
  C |██████████

10 requests of users                without    with
requests that reached C                  20      10
workers of B held for                19.6 s   5.4 s
workers of C held for                33.0 s   5.2 s
pieces of work done by C                400      74
of them after the caller had left       382      17
*/
