/** The context manager and the instrumentation of `fetch` that services use, beside a policy under which requests wait for each other. */
import { FetchHttpClient, HttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as OpenTelemetry from "@opentelemetry/api"
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks"
import { UndiciInstrumentation } from "@opentelemetry/instrumentation-undici"
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Effect } from "effect"
import * as HttpResilience from "../../src/HttpResilience.js"
import { Backoff, Policy } from "../support/core.js"
import { serve } from "../support/servers.js"

const callers = 20

describe("requests that are traced by OpenTelemetry", () => {
  it.scopedLive("every attempt of every request is a child of the span in which its caller stands", () =>
    Effect.gen(function*() {
      const exporter = new InMemorySpanExporter()
      const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
      OpenTelemetry.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
      OpenTelemetry.trace.setGlobalTracerProvider(provider)
      const fetches = new UndiciInstrumentation()
      fetches.setTracerProvider(provider)
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          fetches.disable()
          OpenTelemetry.trace.disable()
          OpenTelemetry.context.disable()
        })
      )
      const tries = new Map<string, number>()
      const server = yield* serve((response, { headers }) => {
        const caller = String(headers["x-caller"])
        const made = (tries.get(caller) ?? 0) + 1
        tries.set(caller, made)
        response.writeHead(made === 1 ? 503 : 200).end("answer")
      })
      const policy = yield* Policy.standard("traced", {
        bulkhead: { maxConcurrent: 3, maxQueue: callers },
        retry: { maxRetries: 1, schedule: Backoff.constant(30, { jitter: "none" }), budget: false },
        circuitBreaker: false
      })
      const plain = yield* HttpClient.HttpClient
      const client = HttpResilience.withPolicy(plain, policy)
      const tracer = provider.getTracer("test")
      const roots = Array.from({ length: callers }, (_, index) => tracer.startSpan(`caller ${index}`))
      yield* Effect.promise(() =>
        Promise.all(roots.map((root, index) =>
          OpenTelemetry.context.with(
            OpenTelemetry.trace.setSpan(OpenTelemetry.context.active(), root),
            () => Effect.runPromise(client.get(server.url, { headers: { "x-caller": String(index) } }))
          )
        ))
      )
      assert.deepStrictEqual([...tries.values()], roots.map(() => 2))
      const children = exporter.getFinishedSpans().map(({ parentSpanContext }) => parentSpanContext?.spanId)
      assert.deepStrictEqual(
        [...children].sort(),
        roots.flatMap((root) => [root.spanContext().spanId, root.spanContext().spanId]).sort()
      )
    }).pipe(Effect.provide(FetchHttpClient.layer)))
})
