import type { HttpClientError } from "@effect/platform"
import {
  HttpApi,
  HttpApiClient,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpClient,
  HttpClientRequest,
  HttpClientResponse
} from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema, Stream, TestClock, Tracer } from "effect"
import * as HttpDeadline from "../src/HttpDeadline.js"
import * as HttpResilience from "../src/HttpResilience.js"
import * as HttpResilienceOptions from "../src/HttpResilienceOptions.js"
import type { Outcome } from "./support/core.js"
import { Backoff, CircuitBreaker, Dependency, InvalidOptions, Policy, Timeout } from "./support/core.js"
import { post, retry, scripted } from "./support/scripted.js"

describe("what the server is told", () => {
  it.effect("C10: every attempt carries its number and what is left of the deadline", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(503, 503, 200)
      const policy = Policy.compose(
        Timeout.make("10 seconds", { scope: "total" }),
        retry(2, "1 second"),
        Timeout.make("9500 millis")
      )
      const fiber = yield* Effect.fork(HttpResilience.withPolicy(client, policy).get("http://a.test/"))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(requests.map(({ headers }) => headers["x-request-attempt"]), ["1", "2", "3"])
      assert.deepStrictEqual(requests.map(({ headers }) => headers["x-deadline-remaining-ms"]), [
        "9500",
        "9000",
        "8000"
      ])
    }))

  it("the header of the deadline is the one that the server side reads", () => {
    assert.strictEqual(HttpResilienceOptions.defaults.deadlineHeader, HttpDeadline.defaultHeader)
  })

  it.effect("headers can be renamed or left out", () =>
    Effect.gen(function*() {
      const named = scripted(200)
      yield* HttpResilience.withPolicy(named.client, retry(), { headers: { attempt: "x-try", deadline: false } })
        .get("http://a.test/")
      assert.strictEqual(named.requests[0]!.headers["x-try"], "1")
      const none = scripted(200)
      yield* HttpResilience.withPolicy(none.client, Timeout.make("1 second"), { headers: false }).get("http://a.test/")
      assert.deepStrictEqual(Object.keys(none.requests[0]!.headers).filter((name) => name.startsWith("x-")), [])
    }))

  it.effect("every attempt has a span, the repeated ones with their resend count", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (name, parent, context, links, startTime, kind) => {
          const attributes = new Map<string, unknown>()
          const span: Tracer.Span = {
            _tag: "Span",
            name,
            spanId: String(spans.length),
            traceId: "t",
            parent,
            context,
            status: { _tag: "Started", startTime },
            attributes,
            links,
            sampled: true,
            kind,
            end() {},
            event() {},
            addLinks() {},
            attribute: (key, value) => {
              attributes.set(key, value)
            }
          }
          spans.push(span)
          return span
        },
        context: (f) => f()
      })
      const { client } = scripted(503, 503, 200)
      yield* HttpResilience.withPolicy(client, retry()).get("http://a.test/").pipe(Effect.withTracer(tracer))
      assert.deepStrictEqual(spans.map((span) => span.attributes.get("http.request.resend_count")), [undefined, 1, 2])
      assert.deepStrictEqual(spans.map((span) => span.attributes.get("http.response.status_code")), [503, 503, 200])
    }))
})

describe("what a transport hears by its signal", () => {
  const withAnswers = (...statuses: ReadonlyArray<number>) => {
    const signals: Array<AbortSignal> = []
    const client = HttpClient.make((request, _url, signal) =>
      Effect.sync(() => {
        const status = statuses[signals.push(signal) - 1]!
        const headers = { "content-length": "4", ...(status === 302 ? { location: "http://a.test/elsewhere" } : {}) }
        return HttpClientResponse.fromWeb(request, new Response("body", { status, headers }))
      })
    )
    return { client, aborted: () => signals.map((signal) => signal.aborted) }
  }
  const run = (client: HttpClient.HttpClient, request = HttpClientRequest.get("http://a.test/")) =>
    HttpResilience.withPolicy(client, Policy.identity).execute(request)

  it.effect("nothing, when its answer is here in full and nothing is open", () =>
    Effect.gen(function*() {
      const { aborted, client } = withAnswers(200)
      assert.strictEqual(yield* Effect.flatMap(run(client), (response) => response.text), "body")
      assert.deepStrictEqual(aborted(), [false])
    }))

  it.effect("the end, when a retry under the policy has left an answer behind", () =>
    Effect.gen(function*() {
      const { aborted, client } = withAnswers(503, 200)
      yield* run(HttpClient.retryTransient(client, { times: 1 }))
      assert.deepStrictEqual(aborted(), [true, true])
    }))

  it.effect("the end, when a redirect has left an answer behind", () =>
    Effect.gen(function*() {
      const { aborted, client } = withAnswers(302, 200)
      yield* run(HttpClient.followRedirects(client))
      assert.deepStrictEqual(aborted(), [true, false])
    }))

  it.effect("the end, when what a redirect led to is wrapped", () =>
    Effect.gen(function*() {
      const { aborted, client } = withAnswers(302, 200)
      const wrapped = HttpClient.transformResponse(
        HttpClient.followRedirects(client),
        Effect.map(({ arrayBuffer, headers, request, status, stream }) =>
          ({ arrayBuffer, headers, request, status, stream }) as HttpClientResponse.HttpClientResponse
        )
      )
      assert.strictEqual(yield* Effect.flatMap(run(wrapped), (response) => response.text), "body")
      assert.deepStrictEqual(aborted(), [true, false])
    }))

  it.effect("the end, when the server may have answered before it had the whole upload", () =>
    Effect.gen(function*() {
      const { aborted, client } = withAnswers(200)
      const upload = HttpClientRequest.post("http://a.test/").pipe(
        HttpClientRequest.bodyStream(Stream.make(new Uint8Array(1)))
      )
      yield* run(client, upload)
      assert.deepStrictEqual(aborted(), [true])
    }))

  it.effect("the end, when the attempt failed", () =>
    Effect.gen(function*() {
      const { aborted, client } = withAnswers(503)
      yield* Effect.exit(run(HttpClient.filterStatusOk(client)))
      assert.deepStrictEqual(aborted(), [true])
    }))
})

describe("where the policy comes from", () => {
  it.effect("withPolicyPer: an authority that fails opens only its own circuit", () =>
    Effect.gen(function*() {
      const sent: Array<string> = []
      const plain = HttpClient.make((request, url) => {
        sent.push(url.origin)
        return Effect.succeed(
          HttpClientResponse.fromWeb(request, new Response("", { status: url.host === "down.test" ? 503 : 200 }))
        )
      })
      const built: Array<string> = []
      const client = yield* HttpResilience.withPolicyPer(plain, {
        name: "hooks",
        capacity: 10,
        make: (authority) => {
          built.push(authority)
          return Policy.standard(authority, {
            retry: false,
            circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(2) }
          })
        }
      })
      for (let call = 0; call < 5; call++) {
        yield* Effect.exit(client.get("http://down.test/a?b=1"))
        assert.strictEqual((yield* client.get("http://up.test:8080/")).status, 200)
      }
      assert.deepStrictEqual(built, ["http://down.test", "http://up.test:8080"])
      assert.strictEqual(sent.filter((origin) => origin === "http://down.test").length, 2)
    }))

  it.effect("withPolicyPer: every attempt carries its number and what is left, as under one policy", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(503, 503, 200)
      const resilient = yield* HttpResilience.withPolicyPer(client, {
        name: "numbered",
        capacity: 10,
        make: () => Effect.succeed(Policy.compose(Timeout.make("5 seconds", { scope: "total" }), retry(2, "1 second")))
      })
      const fiber = yield* Effect.fork(resilient.get("http://a.test/"))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).status, 200)
      assert.deepStrictEqual(requests.map(({ headers }) => headers["x-request-attempt"]), ["1", "2", "3"])
      assert.deepStrictEqual(requests.map(({ headers }) => headers["x-deadline-remaining-ms"]), [
        "5000",
        "4000",
        "3000"
      ])
    }))

  it.effect("withDependency: the declared policy protects the client, and its errors are in the type", () =>
    Effect.gen(function*() {
      class Payments extends Dependency.Service<Payments>()("payments", {
        retry: { maxRetries: 1, schedule: Backoff.constant(0, { jitter: "none" }) },
        circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(1) }
      }) {}
      const { client, requests } = scripted(503)
      const resilient = HttpResilience.withDependency(client, Payments)
      const program = Effect.gen(function*() {
        assert.strictEqual((yield* resilient.get("http://a.test/")).status, 503)
        return yield* resilient.get("http://a.test/").pipe(
          Effect.as("answered"),
          Effect.catchTag("CircuitOpen", () => Effect.succeed("open"))
        )
      })
      assert.strictEqual(yield* Effect.provide(program, Payments.layer), "open")
      assert.strictEqual(requests.length, 2)
    }))

  it.effect("behind the plain tag the errors of a policy are RequestErrors that carry them", () =>
    Effect.gen(function*() {
      const { client } = scripted("never")
      const Client = HttpResilience.layer(Effect.succeed(Timeout.make("1 second"))).pipe(
        Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
      )
      const fiber = yield* Effect.fork(Effect.flip(HttpClient.get("http://a.test/")).pipe(Effect.provide(Client)))
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag, "RequestError")
      assert.strictEqual(error.reason, "Transport")
      assert.instanceOf(error.cause, Timeout.TimedOut)
      assert.include(error.message, "timed out after 1000 ms")
    }))

  it.effect("an HttpApiClient runs under a policy by transformClient", () =>
    Effect.gen(function*() {
      const Api = HttpApi.make("api").add(
        HttpApiGroup.make("orders").add(HttpApiEndpoint.get("list", "/orders").addSuccess(Schema.Array(Schema.String)))
      )
      const { client, requests } = scripted(503, () =>
        new Response("[\"a\"]", { headers: { "content-type": "application/json" } }))
      const api = yield* HttpApiClient.make(Api, {
        baseUrl: "http://orders.test",
        transformClient: (client) =>
          client.pipe(HttpResilience.withPolicy(retry()), HttpResilience.toRequestErrors)
      }).pipe(Effect.provideService(HttpClient.HttpClient, client))
      assert.deepStrictEqual(yield* api.orders.list(), ["a"])
      assert.strictEqual(requests.length, 2)
    }))

  it("the types add exactly what the policy adds", () => {
    const { client } = scripted(200)
    const resilient: HttpClient.HttpClient.With<HttpClientError.HttpClientError | Timeout.TimedOut> = HttpResilience
      .withPolicy(client, Timeout.make("1 second"))
    // @ts-expect-error TimedOut is no HttpClientError
    const plain: HttpClient.HttpClient = HttpResilience.withPolicy(client, Timeout.make("1 second"))
    const mapped: HttpClient.HttpClient = HttpResilience.toRequestErrors(resilient)
    assert.isDefined(plain)
    assert.isDefined(mapped)
  })

  it("wrong options are refused, all at once", () => {
    const { client } = scripted(200)
    try {
      HttpResilience.withPolicy(client, Policy.identity, { until: "end", bodyLimit: -1, bodylimit: 1 } as any)
      assert.fail("accepted")
    } catch (error) {
      assert.instanceOf(error, InvalidOptions)
      assert.deepStrictEqual((error as InvalidOptions).findings.map(({ field }) => field), [
        "until",
        "bodyLimit",
        "bodylimit"
      ])
    }
  })

  it("what is no policy, and a misspelt name in a record, are refused by name", () => {
    const { client } = scripted(200)
    const findings = (make: () => unknown) => {
      try {
        make()
      } catch (error) {
        assert.instanceOf(error, InvalidOptions)
        return (error as InvalidOptions).message
      }
      return "accepted"
    }
    assert.include(findings(() => HttpResilience.withPolicy(client, Timeout.make as any)), "allowed is a policy")
    assert.include(findings(() => HttpResilience.withPolicy({} as any, client as any)(client as any)), "policy is ")
    const headers = { dedline: "x-left" } as any
    assert.include(
      findings(() => HttpResilience.withPolicy(client, Policy.identity, { headers })),
      "a record of deadline, attempt, each a name or false"
    )
  })

  it.effect("a layer takes a policy as it is, or the effect that makes it", () =>
    Effect.gen(function*() {
      for (const policy of [retry(), Effect.sync(retry)]) {
        const { client, requests } = scripted(503, 200)
        const layered = HttpResilience.layer(policy).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client)))
        const response = yield* Effect.flatMap(HttpClient.HttpClient, (given) => given.get("http://a.test/")).pipe(
          Effect.provide(layered)
        )
        assert.deepStrictEqual([response.status, requests.length], [200, 2])
      }
    }))

  it.effect("facts of the caller go over what the request says", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(503, 200)
      const resilient = HttpResilience.withPolicy(client, retry(), { facts: () => ({ repeatable: true }) })
      assert.strictEqual((yield* resilient.execute(post)).status, 200)
      const fixed = scripted(503, 200)
      yield* HttpResilience.withPolicy(fixed.client, retry(), { facts: () => ({ repeatable: false }) }).get(
        "http://a.test/"
      )
      assert.deepStrictEqual([requests.length, fixed.requests.length], [2, 1])
    }))

  it.effect("a class given to a status is what retry acts on", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(404, 200)
      const statuses: Record<number, Outcome.Class> = { 404: "Retryable" }
      yield* HttpResilience.withPolicy(client, retry(), { statuses }).get("http://a.test/")
      assert.strictEqual(requests.length, 2)
    }))
})
