/**
 * The timeout cascade over three hops: A calls B, B calls C, each a real HTTP server. The user of A gets an answer within 500
 * ms, or an error. But B and C do not know that: B waits on, tries again, and C goes on computing what nobody will read. With
 * the deadline in the headers, everybody stops when A does.
 *
 * Handlers run on workers here, as in most servers: a worker is not told that the client has hung up. (A handler of
 * `@effect/platform` is, unless a proxy, a queue or a worker stands between.)
 *
 *     node --import tsx examples/src/timeoutCascade.ts
 */
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
import { run, serve } from "./loopback.js"
import { type Journal, makeJournal } from "./timeout-cascade/journal.js"

const users = Array.from({ length: 10 }, (_, index) => `user-${index}`)

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

/** How a service answers when a policy of its own has ended the work: 504 for a timeout. */
const problemOf = HttpProblem.make()

/** The three services, one behind the other, and ten users; with the deadline in the headers, or without. */
const observe = (propagate: boolean) =>
  Effect.scoped(Effect.gen(function*() {
    const plain = yield* HttpClient.HttpClient
    const journal = makeJournal()

    /** A client under a policy, which tells the next service how much time is left, or does not. */
    const client = <E>(policy: Policy.Policy<E>) => {
      const guarded = plain.pipe(HttpResilience.withPolicy(policy, propagate ? {} : { headers: { deadline: false } }))
      return (url: string) =>
        Effect.filterOrFail(guarded.get(url), ({ status }) => status === 200, ({ status }) => status)
    }
    /** A service that believes what it is told of the deadline, or is told nothing. */
    const service = (name: string, work: (user: string) => Effect.Effect<unknown, unknown>) => {
      const app: HttpApp.Default = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const user = request.url.slice(1)
        return journal.worker(name, user, work(user)).pipe(
          // On a fiber of its own, the worker: when the client hangs up only the waiting for it ends. It inherits the deadline.
          Effect.interruptible,
          Effect.forkDaemon,
          Effect.flatMap(Fiber.join),
          Effect.as(HttpServerResponse.text("done")),
          Effect.catchAll((error) =>
            Effect.succeed(
              HttpProblem.isHandled(error)
                ? HttpProblem.response(problemOf(error))
                : HttpServerResponse.empty({ status: 502 })
            )
          )
        )
      })
      return serve(propagate ? HttpDeadline.middleware()(app) : app)
    }

    const piece = (user: string) => Effect.zipRight(Effect.sleep("50 millis"), Effect.sync(() => journal.piece(user)))
    const c = yield* service("C", (user) => user === warmUp ? Effect.void : atC(Effect.repeatN(piece(user), 19)))
    const toC = client(atB)
    const b = yield* service("B", (user) => toC(`${c}/${user}`))
    const toB = client(atA)
    const a = yield* service("A", (user) => toB(`${b}/${user}`))

    yield* plain.get(`${a}/${warmUp}`)
    journal.forget()
    yield* Effect.forEach(users, (user) => plain.get(`${a}/${user}`), { concurrency: "unbounded" })
    yield* journal.quiet
    return journal
  }))

const program = Effect.gen(function*() {
  const without = yield* observe(false)
  const told = yield* observe(true)
  const millis = Math.max(40, Math.ceil(without.lengthMillis() / 60))
  console.log(`One request, ${millis} ms to a character: █ while A waits for the answer, ░ afterwards

no deadline in the headers
${without.draw(users[0]!, millis)}

with the deadline in the headers
${told.draw(users[0]!, millis)}
`)
  const both = (figure: (journal: Journal) => string | number) => [String(figure(without)), String(figure(told))]
  console.log(table([
    [`${users.length} requests of users`, "without", "with"],
    ["requests that reached C", ...both(({ requests }) => requests("C"))],
    ["workers of B held for", ...both(({ workerSeconds }) => `${workerSeconds("B").toFixed(1)} s`)],
    ["workers of C held for", ...both(({ workerSeconds }) => `${workerSeconds("C").toFixed(1)} s`)],
    ["pieces of work done by C", ...both(({ pieces }) => pieces())],
    ["of them after the caller had left", ...both(({ piecesInVain }) => piecesInVain())]
  ]))
})

await run(program)

/* Prints, for example:

One request, 40 ms to a character: █ while A waits for the answer, ░ afterwards

no deadline in the headers
  A |█████████████
  B |█████████████░░░░░░░░░░░░░░░░░░░░░░░░░
  C |█████████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░

with the deadline in the headers
  A |█████████████
  B |█████████████
  C |█████████████

10 requests of users                without    with
requests that reached C                  20      10
workers of B held for                15.1 s   5.0 s
workers of C held for                20.6 s   5.0 s
pieces of work done by C                400      90
of them after the caller had left       310       0
*/
