/**
 * Runs the storm: in virtual time against the arithmetic of the server, or on sockets against the server itself.
 */
import * as Failure from "@holdfast/core/Failure"
import * as Retry from "@holdfast/core/Retry"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Http from "node:http"
import { capacity, listen } from "./server.js"
import { type Name, retryOptions, type Storm, type Story } from "./story.js"

class Refused extends Failure.Retryable("Refused")<{}> {}

class ConnectionLost extends Failure.Retryable("ConnectionLost")<{}> {}

type Lost = ConnectionLost | Refused

/** Every client makes one call under the policy; what a call does is `request`, told whether it is the client's first. */
const storm = (
  name: Name,
  story: Story,
  arrivals: ReadonlyArray<number>,
  request: (first: boolean) => Effect.Effect<void, Lost>,
  start: Effect.Effect<number>
): Effect.Effect<Storm> =>
  Effect.gen(function*() {
    const retry = Retry.make(yield* retryOptions(name, story))
    const client = Effect.suspend(() => {
      let first = true
      return retry(Effect.suspend(() => {
        const wasFirst = first
        first = false
        return request(wasFirst)
      }))
    })
    const results = yield* Effect.forEach(
      Array.from({ length: story.clients }),
      () => Effect.isSuccess(client),
      { concurrency: "unbounded" }
    )
    const end = yield* Clock.currentTimeMillis
    const startedAt = yield* start
    const answered = results.filter((result) => result).length
    return {
      name,
      arrivals: arrivals.map((at) => (at - startedAt) / 1000 / story.scale),
      answered,
      gaveUp: story.clients - answered,
      overAfter: (end - startedAt) / 1000 / story.scale
    }
  })

export const virtually = (name: Name, story: Story): Effect.Effect<Storm> =>
  Effect.suspend(() => {
    const arrive = capacity(story)
    const arrivals: Array<number> = []
    return storm(
      name,
      story,
      arrivals,
      (first) =>
        first ? new ConnectionLost() : Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<void, Refused> => {
          arrivals.push(now)
          const answerIn = arrive(now)
          return answerIn === undefined ? new Refused() : Effect.sleep(answerIn)
        }),
      Effect.succeed(0)
    )
  })

/** One request of a client, on a connection that is kept: a status of 503 or a broken connection is worth another try. */
const get = (port: number, agent: Http.Agent): Effect.Effect<void, Lost> =>
  Effect.async((resume) => {
    const sent = Http.get({ host: "127.0.0.1", port, agent }, (response) => {
      response.resume()
      response.on("end", () => resume(response.statusCode === 200 ? Effect.void : new Refused()))
    })
    sent.on("error", () => resume(new ConnectionLost()))
    return Effect.sync(() => sent.destroy())
  })

export const onSockets = (name: Name, story: Story): Effect.Effect<Storm> =>
  Effect.scoped(Effect.gen(function*() {
    const arrivals: Array<number> = []
    const server = yield* listen(capacity(story), () => {
      const now = Date.now()
      arrivals.push(now)
      return now
    })
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Http.Agent({ keepAlive: true })),
      (agent) => Effect.sync(() => agent.destroy())
    )
    let restartedAt = 0
    yield* Effect.forkScoped(Effect.gen(function*() {
      while (server.held() < story.clients) {
        yield* Effect.sleep("5 millis")
      }
      restartedAt = Date.now()
      server.restart()
    }))
    return yield* storm(name, story, arrivals, () => get(server.port, agent), Effect.sync(() => restartedAt))
  }))
