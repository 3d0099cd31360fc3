import { HttpBody, HttpClient, HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import { Cause, Effect, Exit, Fiber, Option, Stream } from "effect"
import { Readable } from "node:stream"
import { Fallback, Outcome } from "../support/core.js"
import { HttpFailure, HttpResilience } from "../support/modules.js"
import { serve, transports } from "../support/servers.js"

type Request = HttpClientRequest.HttpClientRequest
type Case = readonly [what: string, make: (url: string) => Request, only?: ReadonlyArray<string>]

const withHeader = (name: string, value: string) => (url: string) =>
  HttpClientRequest.setHeader(HttpClientRequest.get(url), name, value)
const withBody = (body: () => HttpBody.HttpBody) => (url: string) =>
  HttpClientRequest.setBody(HttpClientRequest.post(url), body())

const part = new Uint8Array(3)

const unmakeable: ReadonlyArray<Case> = [
  ["a header beyond Latin-1", withHeader("x-user", "日本太郎")],
  ["a line break within a header", withHeader("x-user", "a\nb")],
  ["a NUL in a header", withHeader("x-user", "a\0b")],
  ["a control character in a header", withHeader("x-user", "a\x01b")],
  ["a header name with a space", withHeader("x user", "a")],
  ["a header without a name", withHeader("", "a")],
  ["the scheme ftp", () => HttpClientRequest.get("ftp://127.0.0.1/x")],
  ["the scheme file", () => HttpClientRequest.get("file:///etc/hostname")],
  ["a URL that is none", () => HttpClientRequest.get("http://[")],
  ["a URL without a host", () => HttpClientRequest.get("/orders")],
  ["a method that is none", (url) => HttpClientRequest.make("BAD METHOD" as any)(url)],
  ["a body of no kind that can be sent", withBody(() => HttpBody.raw({ amount: 1 })), ["node", "undici"]],
  ["credentials in the URL", (url) => HttpClientRequest.get(url.replace("//", "//user:secret@")), ["fetch"]],
  ["a GET with a body", (url) => HttpClientRequest.setBody(HttpClientRequest.get(url), HttpBody.text("x")), ["fetch"]],
  ["a method that fetch does not send", (url) => HttpClientRequest.make("TRACE" as any)(url), ["fetch"]],
  ["a port that fetch does not call", () => HttpClientRequest.get("http://127.0.0.1:6000/"), ["fetch"]],
  ...[" 2", "abc", "+2", "-1", ""].map((value): Case => [
    `the content-length ${JSON.stringify(value)}`,
    (url) => HttpClientRequest.setHeader(withBody(() => HttpBody.text("hi"))(url), "content-length", value)
  ]),
  ["a stream that states the length -1", withBody(() => HttpBody.stream(Stream.make(part), undefined, -1))],
  ["a stream that states the length 2.5", withBody(() => HttpBody.stream(Stream.make(part), undefined, 2.5))],
  ["a trailer that no chunk follows", withHeader("trailer", "x"), ["node"]],
  ["Expect: 100-continue", withHeader("expect", "100-continue"), ["fetch", "undici"]]
]

const failing = async function*() {
  yield part
  throw Object.assign(new Error("mine"), { code: "ENOENT" })
}

/** By a fiber of its own that is interrupted. */
const interrupted = Stream.fromEffect(
  Effect.flatMap(Effect.fork(Effect.never), (fiber) => Effect.zipRight(Fiber.interrupt(fiber), Fiber.join(fiber)))
)

const destroyed = (error?: Error) => new Readable({ read() {} }).on("error", () => {}).destroy(error)

const badBodies: ReadonlyArray<Case> = [
  ["a stream that fails at once", withBody(() => HttpBody.stream(Stream.fail(new Error("mine"))))],
  [
    "a stream that fails after its first part",
    withBody(() => HttpBody.stream(Stream.concat(Stream.make(part), Stream.fail(new Error("mine")))))
  ],
  ["a stream that dies", withBody(() => HttpBody.stream(Stream.die(new Error("mine"))))],
  [
    "a stream that fails with the code of a broken connection",
    withBody(() => HttpBody.stream(Stream.fail(Object.assign(new Error("mine"), { code: "ECONNRESET" }))))
  ],
  ["a stream shorter than stated", withBody(() => HttpBody.stream(Stream.make(part), undefined, 10))],
  ["a stream longer than stated", withBody(() => HttpBody.stream(Stream.make(part, part), undefined, 3))],
  [
    "a text shorter than stated",
    (url) => HttpClientRequest.setHeader(withBody(() => HttpBody.text("abc"))(url), "content-length", "10")
  ],
  [
    "a text longer than stated",
    (url) => HttpClientRequest.setHeader(withBody(() => HttpBody.text("abc"))(url), "content-length", "1")
  ],
  ["a stream that interrupts itself", withBody(() => HttpBody.stream(interrupted))],
  [
    "a stream that interrupts itself after its first part",
    withBody(() => HttpBody.stream(Stream.concat(Stream.make(part), interrupted)))
  ],
  ["a stream of Node that is destroyed", withBody(() => HttpBody.raw(destroyed(new Error("mine"))))],
  ["a stream of Node that is destroyed without an error", withBody(() => HttpBody.raw(destroyed()))],
  ["an iterable that throws", withBody(() => HttpBody.raw(failing())), ["undici"]],
  ["a stream of Node that fails", withBody(() => HttpBody.raw(Readable.from(failing()))), ["undici"]],
  ["a stream of the web that fails", withBody(() => HttpBody.raw(Readable.toWeb(Readable.from(failing())))), ["undici"]]
]

/** Each test has a policy of its own name: two live ones of one name are warned of. */
let built = 0

/** A call under the whole standard stack, with what a listener heard of it. */
const call = (client: HttpClient.HttpClient.With<any>, request: Request) =>
  Effect.gen(function*() {
    const events: Array<ResilienceEvent.ResilienceEvent> = []
    const exit = yield* client.execute(request).pipe(
      Effect.exit,
      ResilienceEvent.listen((event) => {
        events.push(event)
      })
    )
    return { exit, events }
  })

const outcomeIn = (events: ReadonlyArray<ResilienceEvent.ResilienceEvent>): Outcome.Outcome => {
  const ended = events.find((event) => event._tag === "CallEnded")
  assert.isDefined(ended)
  return ended.outcome
}

const under = <A, E>(
  layer: (typeof transports)[number][1],
  f: (client: HttpClient.HttpClient.With<any>, policy: Policy.Policy<any>) => Effect.Effect<A, E, any>
) =>
  Effect.scoped(
    Effect.gen(function*() {
      const policy = yield* Policy.standard(`payments ${++built}`, {
        bulkhead: { maxConcurrent: 1 },
        circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(2), scope: "attempt" }
      } as any)
      const plain = yield* HttpClient.HttpClient
      return yield* f(HttpResilience.withPolicy(plain, policy as any, { replayableBody: true }), policy as any)
    }).pipe(Effect.provide(layer))
  ) as Effect.Effect<A, E>

describe("the caller's own fault", () => {
  for (const [name, layer] of transports) {
    for (
      const [kind, cases, expected] of [
        ["a request that cannot be made", unmakeable, Outcome.make("Rejected", { neverSent: true, fault: "caller" })],
        ["a body that fails", badBodies, Outcome.make("Permanent", { fault: "caller" })]
      ] as const
    ) {
      for (const [what, make] of cases.filter(([, , transports = [name]]) => transports.includes(name))) {
        it.live(`${name}: ${kind}, ${what}, is tried once, opens no circuit and gives its place back`, () =>
          under(layer, (client) =>
            Effect.gen(function*() {
              const server = yield* serve((response) => response.end("ok"))
              for (let index = 0; index < 4; index++) {
                const { events, exit } = yield* call(client, make(server.url))
                assert.isTrue(Exit.isFailure(exit))
                const outcome = outcomeIn(events)
                assert.deepStrictEqual(outcome, expected)
                assert.strictEqual(events.filter(({ _tag }) => _tag === "AttemptEnded").length, 1)
                assert.isFalse(events.some(({ _tag }) => _tag === "CircuitOpened" || _tag === "RetryScheduled"))
                const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
                assert.strictEqual((error as any)?._tag, "RequestError")
                // Said by the error itself too, for a classifier that knows nothing of HTTP.
                const covered = yield* Effect.exit(Effect.fail(error).pipe(Fallback.tiers(Fallback.value("yesterday"))))
                assert.isTrue(Exit.isFailure(covered))
                assert.strictEqual(HttpFailure.classify(exit).fault, "caller")
              }
              if (kind === "a request that cannot be made") {
                assert.strictEqual(server.seen.length, 0)
              }
              const good = yield* client.execute(HttpClientRequest.get(server.url))
              assert.strictEqual(yield* good.text, "ok")
            })))
      }
    }
  }

  for (const [name, layer] of transports) {
    it.live(`${name}: an attempt that is ended while its body is read is no fault of the caller`, () =>
      Effect.scoped(
        Effect.gen(function*() {
          const server = yield* serve((response) => response.end("ok"))
          const policy = yield* Policy.standard(`slow-${name}`, { retry: false, attemptTimeout: "200 millis" })
          const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, policy)
          const body = HttpBody.stream(Stream.concat(Stream.make(part), Stream.never))
          const { events } = yield* call(client, HttpClientRequest.setBody(HttpClientRequest.post(server.url), body))
          const outcome = outcomeIn(events)
          assert.deepStrictEqual([outcome.class, outcome.fault], ["Retryable", undefined])
        }).pipe(Effect.provide(layer))
      ))
  }
})
