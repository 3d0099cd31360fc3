import { HttpClient, type HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Alarm from "@holdfast/core/Alarm"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import { Effect, Exit, Layer, Logger, Scope, Stream } from "effect"
import * as HttpResilience from "../src/HttpResilience.js"
import { Backoff, Dependency, Policy, Timeout } from "./support/core.js"
import { ring } from "./support/ring.js"
import { retry } from "./support/scripted.js"

interface Exchange {
  readonly signal: AbortSignal
  finished: boolean
}

/** A body of Effects only: with promises in it every run would have to wait for the event loop. */
const ofEffects = (request: HttpClientRequest.HttpClientRequest, status: number, exchange: Exchange) =>
  Object.defineProperty(HttpClientResponse.fromWeb(request, new Response(null, { status })), "stream", {
    value: Stream.concat(
      Stream.fromIterable([new Uint8Array(100), new Uint8Array(100)]).pipe(Stream.rechunk(1)),
      Stream.execute(Effect.sync(() => {
        exchange.finished = true
      }))
    )
  })

/** A body as `fetch` has it, in two parts of which the server does not say how long they are. */
const ofTheWeb = (request: HttpClientRequest.HttpClientRequest, status: number, exchange: Exchange) => {
  let parts = 0
  const body = new ReadableStream({
    pull: (controller) => {
      if (parts++ < 2) {
        controller.enqueue(new Uint8Array(100))
      } else {
        exchange.finished = true
        controller.close()
      }
    }
  }, { highWaterMark: 0 })
  return HttpClientResponse.fromWeb(request, new Response(body, { status }))
}

/** A server that knows of every exchange how it ended. It answers in the order of the statuses, and with 200 from then on. */
const makeWorld = (statuses: ReadonlyArray<number>, answer: typeof ofEffects) =>
  Effect.gen(function*() {
    const exchanges: Array<Exchange> = []
    const client = HttpClient.make((request, _url, signal) =>
      Effect.suspend(() => {
        const exchange: Exchange = { signal, finished: false }
        const status = statuses[exchanges.push(exchange) - 1] ?? 200
        return Effect.as(Effect.yieldNow(), answer(request, status, exchange))
      })
    )
    return { client, exchanges, alarms: Alarm.of(yield* Effect.clock) }
  })

type World = Effect.Effect.Success<ReturnType<typeof makeWorld>>

class Sweeping extends Dependency.Service<Sweeping>()("sweeping", {
  retry: { schedule: Backoff.exponential("1 millis") }
}) {}

const policy = Policy.compose(Timeout.make("5 seconds"), retry())
const url = "http://a.test/"

const text = (response: HttpClientResponse.HttpClientResponse) => response.text

/** One for all runs: only the client under it is new in each. */
const sweeping = Effect.runSync(Effect.gen(function*() {
  const scope = yield* Scope.make()
  return yield* Layer.buildWithScope(Sweeping.layer, scope)
}))

interface Combinator {
  readonly call: (client: HttpClient.HttpClient) => Effect.Effect<string, unknown>
  /** Statuses before the 200. */
  readonly statuses?: ReadonlyArray<number>
  /** The alarms are those of the policy, and rung in another case. */
  readonly interruptedOnly?: boolean
  /** The response is open when the caller gets it. */
  readonly handsOver?: boolean
  readonly body?: typeof ofEffects
}

const under = (options: HttpResilience.Options) => (client: HttpClient.HttpClient) =>
  Effect.flatMap(HttpResilience.withPolicy(client, policy, options).get(url), text)

/** Every combinator of the client side, as the call of one request under it. */
const combinators: Readonly<Record<string, Combinator>> = {
  "withPolicy, until the body": { call: under({}) },
  "withPolicy, until the headers": { call: under({ until: "headers" }), handsOver: true },
  "withPolicy, beyond the limit of the body": {
    call: under({ bodyLimit: 50 }),
    handsOver: true,
    interruptedOnly: true
  },
  "withPolicy, until the body of a web stream": { call: under({}), body: ofTheWeb },
  "withPolicy, beyond the limit of the body of a web stream": {
    call: under({ bodyLimit: 50 }),
    body: ofTheWeb,
    handsOver: true,
    interruptedOnly: true
  },
  "withPolicy, the error about the status of a web stream": {
    call: (client) =>
      Effect.flatMap(HttpResilience.withPolicy(HttpClient.filterStatusOk(client), policy).get(url), text),
    body: ofTheWeb,
    statuses: [503]
  },
  "withPolicy, with a limit for the headers": { call: under({ headersTimeout: "1 second" }) },
  "withPolicy, with a key, answered by 503 first": {
    call: (client) =>
      Effect.flatMap(HttpResilience.withPolicy(client, policy, { idempotencyKey: true }).post(url), text),
    statuses: [503],
    interruptedOnly: true
  },
  "withPolicyPer": {
    call: (client) =>
      Effect.flatMap(
        HttpResilience.withPolicyPer(client, { name: "per", capacity: 2, make: () => Effect.succeed(policy) }),
        (per) => Effect.flatMap(per.get(url), text)
      ),
    interruptedOnly: true
  },
  "withDependency": {
    call: (client) =>
      Effect.provide(Effect.flatMap(HttpResilience.withDependency(client, Sweeping).get(url), text), sweeping)
  },
  "toRequestErrors": {
    call: (client) =>
      Effect.flatMap(HttpResilience.toRequestErrors(HttpResilience.withPolicy(client, policy)).get(url), text),
    interruptedOnly: true
  },
  "audit": {
    call: (client) =>
      Effect.flatMap(HttpClient.HttpClient, (audited) => Effect.flatMap(audited.get(url), text)).pipe(
        Effect.provide(
          Layer.provide(HttpResilience.audit({ warn: false }), Layer.succeed(HttpClient.HttpClient, client))
        )
      ),
    interruptedOnly: true
  }
}

describe("every combinator of the client side", () => {
  for (
    const [name, { body = ofEffects, call, handsOver, interruptedOnly, statuses = [] }] of Object.entries(combinators)
  ) {
    const sweep = (what: string, at: "interrupt" | typeof ring) => {
      it.live(
        `${name}: wherever it is ${what}, every exchange was read to its end or aborted, and no alarm is left`,
        () =>
          Effect.gen(function*() {
            let lost = 0
            const report = yield* OperationSweep.run<World, string, unknown>({
              make: () => makeWorld(statuses, body),
              modes: ["inline"],
              at,
              body: ({ client }) => call(client).pipe(Effect.withTracerEnabled(false)),
              check: ({ alarms, exchanges }, exit) => {
                const open = exchanges.filter(({ finished, signal }) => !finished && !signal.aborted).length
                if (open === 1 && handsOver === true && at === "interrupt" && Exit.isInterrupted(exit)) {
                  lost++
                } else if (open > 0 && name !== "audit") {
                  return `${open} of ${exchanges.length} exchanges are open`
                }
                const expected = Exit.isSuccess(exit) || (at === "interrupt") === Exit.isInterrupted(exit)
                return [
                  ...(alarms.size === 0 ? [] : [`${alarms.size} alarms are left`]),
                  ...(expected ? [] : [`ended with ${String(exit)}`])
                ]
              }
            })
            OperationSweep.assertClean(report)
            assert.isAbove(report.operations, 50)
            // Between the policy and its caller's first step nobody holds an open response: there the garbage collector ends it.
            assert.isAtMost(lost, 20)
          }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))),
        120_000
      )
    }
    sweep("interrupted from outside", "interrupt")
    if (interruptedOnly !== true) {
      sweep("rung by the next alarm", ring)
    }
  }
})
