/**
 * What every route of the service shares: a fixed number of workers, and a queue of accepted requests in front of them.
 */
import * as Deadline from "@holdfast/core/Deadline"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"

export interface Workers {
  /** Runs a request on a worker as soon as one is free; `refused` when the queue is full too. */
  readonly run: <A, E, R>(request: Effect.Effect<A, E>, refused: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly busy: () => number
  readonly queued: () => number
}

/**
 * A worker is a thread in all but name. It runs one request from its first line to its last, and does not notice
 * that the client has gone: only the waiting for its result is interrupted.
 */
export const makeWorkers = (count: number, acceptQueue: number): Effect.Effect<Workers, never, Scope.Scope> =>
  Effect.gen(function*() {
    const queue = yield* Queue.dropping<Effect.Effect<void>>(acceptQueue)
    let busy = 0
    let queued = 0
    const worker = Effect.forever(Effect.flatMap(Queue.take(queue), (job) => {
      queued--
      busy++
      return Effect.ensuring(job, Effect.sync(() => busy--))
    }))
    for (let index = 0; index < count; index++) {
      yield* Effect.forkScoped(worker)
    }
    const run: Workers["run"] = <A, E, R>(request: Effect.Effect<A, E>, refused: Effect.Effect<A, E, R>) =>
      Effect.gen(function*() {
        const result = yield* Deferred.make<A, E>()
        // The request's deadline goes with it: the worker is another fiber, and a wait in the queue counts.
        const inTime = Option.match(yield* Deadline.remaining, {
          onNone: () => request,
          onSome: (left) => {
            const end = performance.now() + Duration.toMillis(left)
            return Effect.suspend(() => Deadline.within(request, Math.max(0, end - performance.now())))
          }
        })
        const job = Effect.flatMap(Effect.exit(inTime), (exit: Exit.Exit<A, E>) => Deferred.done(result, exit))
        queued++
        const accepted = yield* Queue.offer(queue, Effect.asVoid(job))
        if (!accepted) {
          queued--
          return yield* refused
        }
        return yield* Deferred.await(result)
      })
    return { run, busy: () => busy, queued: () => queued }
  })
