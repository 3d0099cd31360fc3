import { HttpClient, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import * as HttpAudit from "../src/HttpAudit.js"
import * as HttpResilience from "../src/HttpResilience.js"
import { Deadline, Policy, Retry, Timeout } from "./support/core.js"

const Plain = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, new Response("ok"))))
)

const audited = (options: HttpAudit.Options = { warn: false }) => Layer.provide(HttpResilience.audit(options), Plain)

const findings = Effect.flatMap(HttpAudit.HttpAudit, (audit) => audit.findings)

describe("HttpAudit", () => {
  it.effect("counts, by authority, what is sent without a policy and without a timeout", () =>
    Effect.gen(function*() {
      const client = yield* HttpClient.HttpClient
      yield* client.get("http://bare.test/a")
      yield* client.get("http://bare.test/b?c=d")
      yield* client.get("http://limited.test/").pipe(Deadline.within("1 second"))
      yield* HttpResilience.withPolicy(client, Retry.make()).get("http://untimed.test:81/")
      yield* HttpResilience.withPolicy(client, Timeout.make("1 second")).get("http://safe.test/")
      yield* HttpResilience.withPolicy(client, Retry.make()).get("http://safe.test/").pipe(Deadline.within("1 second"))
      assert.deepStrictEqual(yield* findings, [
        { authority: "http://bare.test", requests: 2, withoutPolicy: 2, withoutTimeout: 2 },
        { authority: "http://limited.test", requests: 1, withoutPolicy: 1, withoutTimeout: 0 },
        { authority: "http://untimed.test:81", requests: 1, withoutPolicy: 0, withoutTimeout: 1 }
      ])
      const all = yield* Effect.flatMap(HttpAudit.HttpAudit, (audit) => audit.all)
      assert.strictEqual(all.find(({ authority }) => authority === "http://safe.test")?.requests, 2)
    }).pipe(Effect.provide(audited())))

  it.effect("a policy per authority counts with its timeouts", () =>
    Effect.gen(function*() {
      const client = yield* HttpResilience.withPolicyPer(yield* HttpClient.HttpClient, {
        name: "per",
        capacity: 5,
        make: () => Effect.succeed(Policy.compose(Retry.make(), Timeout.make("1 second")))
      })
      yield* client.get("http://a.test/")
      yield* client.get("http://b.test/")
      assert.deepStrictEqual(yield* findings, [])
    }).pipe(Effect.provide(audited())))

  it.effect("authorities beyond the capacity are counted together", () =>
    Effect.gen(function*() {
      for (let host = 0; host < 10; host++) {
        yield* HttpClient.execute(HttpClientRequest.get(`http://h${host}.test/`))
      }
      assert.deepStrictEqual((yield* findings).map(({ authority, requests }) => [authority, requests]), [
        ["other", 8],
        ["http://h0.test", 1],
        ["http://h1.test", 1]
      ])
    }).pipe(Effect.provide(audited({ capacity: 2, warn: false }))))

  it.effect("warns once for each authority", () => {
    const messages: Array<string> = []
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => {
        messages.push(String(message))
      })
    )
    return Effect.gen(function*() {
      yield* HttpClient.get("http://bare.test/")
      yield* HttpClient.get("http://bare.test/")
      yield* HttpClient.get("http://other.test/")
      assert.strictEqual(messages.length, 2)
      assert.include(messages[0]!, "http://bare.test is called without a policy")
    }).pipe(Effect.provide(Layer.merge(audited({}), logger)))
  })
})
