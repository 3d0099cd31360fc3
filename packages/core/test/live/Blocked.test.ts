import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Failure from "@holdfast/core/Failure"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Timeout from "@holdfast/core/Timeout"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Http from "node:http"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"

class Down extends Failure.Retryable("Down")<{}> {}

const limit = 1000

/** A server on a thread of its own, that answers while this one is blocked, or never. */
const server = (answers: boolean) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const flags = new Int32Array(new SharedArrayBuffer(8))
      const worker = new Worker(fileURLToPath(new URL("./programs/answering.mjs", import.meta.url)), {
        workerData: { flags, answers }
      })
      const next = () => new Promise<unknown>((resolve) => worker.once("message", resolve))
      return { flags, worker, next, port: Number(await next()) }
    }),
    ({ worker }) => Effect.promise(() => worker.terminate())
  )

const get = (port: number) =>
  Effect.async<string, Error>((resume) => {
    const request = Http.get({ host: "127.0.0.1", port, agent: false }, (response) => {
      let body = ""
      response.on("data", (chunk) => (body += chunk))
      response.on("end", () => resume(Effect.succeed(body)))
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    return Effect.sync(() => request.destroy())
  })

/** Holds up the event loop until the limit is long over, and the answer has been written where there is one. */
const block = (flags: Int32Array, answers: boolean, began: number) =>
  Effect.sync(() => {
    Atomics.store(flags, 0, 1)
    Atomics.notify(flags, 0)
    if (answers) {
      Atomics.wait(flags, 1, 0, 20_000)
    }
    while (performance.now() < began + limit + 100) {
      // nobody else gets a turn
    }
  })

const call = (answers: boolean) =>
  Effect.gen(function*() {
    const { flags, next, port } = yield* server(answers)
    const came = next()
    const delays: Array<number> = []
    const began = performance.now()
    const fiber = yield* Effect.fork(
      get(port).pipe(
        Timeout.make(limit),
        ResilienceEvent.listen((event) => {
          if (event._tag === "TimeoutFired") delays.push(Duration.toMillis(event.delay))
        }),
        Effect.either
      )
    )
    yield* Effect.promise(() => came)
    yield* block(flags, answers, began)
    return { end: yield* Fiber.join(fiber), delays }
  }).pipe(Effect.scoped)

describe("a process whose event loop was blocked for longer than a limit", () => {
  it.live(
    "D08: takes the answer that was in the socket all the time, and fires no timeout",
    () =>
      Effect.map(call(true), ({ delays, end }) => {
        assert.deepStrictEqual(end, Either.right("answer"))
        assert.deepStrictEqual(delays, [])
      }),
    60_000
  )

  it.live(
    "sends no second probe while the answer of the first one is in the socket",
    () =>
      Effect.gen(function*() {
        const { flags, next, port } = yield* server(true)
        const breaker = yield* CircuitBreaker.make({
          name: "probed",
          tripPolicy: CircuitBreaker.consecutive(1),
          openDuration: 20,
          probeTimeout: limit
        })
        yield* Effect.ignore(breaker(Effect.fail(new Down())))
        const came = next()
        // Longer than the circuit is open, its jitter included.
        yield* Effect.sleep(40)
        const began = performance.now()
        const probe = yield* Effect.fork(breaker(get(port)))
        yield* Effect.promise(() => came)
        yield* block(flags, true, began)
        const second = yield* Effect.either(breaker(get(port)))
        assert.strictEqual(Either.isLeft(second) && (second.left as { reason?: string }).reason, "probing")
        assert.strictEqual(yield* Fiber.join(probe), "answer")
        assert.strictEqual((yield* breaker.snapshot).state._tag, "Closed")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "D08: tells of a timeout how late it rang, since the dependency may not be to blame",
    () =>
      Effect.map(call(false), ({ delays, end }) => {
        assert.strictEqual(Either.isLeft(end) && (end.left as { _tag?: string })._tag, "TimedOut")
        assert.strictEqual(delays.length, 1)
        assert.isAbove(delays[0]!, 20)
      }),
    60_000
  )
})
