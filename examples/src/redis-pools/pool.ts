/**
 * A pool of Redis connections that respects what each of them says of itself.
 *
 * | the client says | what is done |
 * | --- | --- |
 * | `ready` | the command is sent |
 * | `connecting`, `reconnecting` and whatever lies between | fails at once: the client is at it, and what is queued now comes all at once later |
 * | `end` | the client has given up: now, and only now, it is ours to connect again |
 */
import * as Failure from "@holdfast/core/Failure"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { Redis } from "ioredis"

/** The client is not connected; nothing was sent. */
export class NotReady extends Failure.Retryable("NotReady")<{ readonly status: string; readonly neverSent: true }> {
  override get message(): string {
    return `The client is ${this.status}`
  }
}

/** The connection broke under a command. */
export class CommandFailed extends Failure.Retryable("CommandFailed")<{ readonly because: string }> {}

export interface Pool {
  /** Sends a command on a connection that nobody else uses meanwhile. */
  readonly send: <A>(command: (redis: Redis) => Promise<A>) => Effect.Effect<A, NotReady | CommandFailed>
  readonly clients: {
    /** Those that have connected again by themselves. */
    readonly reconnected: Set<Redis>
    /** Those that have given up at least once. */
    readonly gaveUp: Set<Redis>
    /** Those that were connected again because this pool asked for it, after they had given up. */
    readonly connectedByUs: Set<Redis>
  }
}

export interface PoolOptions {
  readonly port: number
  readonly size: number
  /** After how many tries a client gives up. */
  readonly tries: () => number
}

const failed = (cause: unknown) =>
  new CommandFailed({ because: cause instanceof Error ? cause.message : String(cause) })

/** Its connections are open when it is made, and closed with the scope. */
export const makePool = ({ port, size, tries }: PoolOptions): Effect.Effect<Pool, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clients = { reconnected: new Set<Redis>(), gaveUp: new Set<Redis>(), connectedByUs: new Set<Redis>() }
    const asked = new Set<Redis>()
    const connect = Effect.acquireRelease(
      Effect.async<Redis>((resume) => {
        const redis = new Redis({
          port,
          host: "127.0.0.1",
          // Do not queue: neither what comes while it connects, nor what was under way when the connection broke.
          enableOfflineQueue: false,
          autoResendUnfulfilledCommands: false,
          maxRetriesPerRequest: 0,
          // Reconnecting is the client's own business. Not all at once: fifty clients lose their server in the same moment.
          retryStrategy: (attempt) => attempt > tries() ? null : Math.min(300, 40 * attempt) * (0.5 + Math.random())
        })
        // It is told by the command that failed; here it would only end the process.
        redis.on("error", () => {})
        redis.on("end", () => clients.gaveUp.add(redis))
        redis.on("ready", () => {
          clients[asked.delete(redis) ? "connectedByUs" : "reconnected"].add(redis)
          resume(Effect.succeed(redis))
        })
      }),
      (redis) => Effect.sync(() => redis.disconnect())
    )
    const all = yield* Effect.replicateEffect(connect, size)
    clients.reconnected.clear()
    const idle = [...all]

    // A connection that is ready, else one that has given up; one that is at it is left alone.
    const take = Effect.sync(() => {
      const ready = idle.findIndex(({ status }) => status === "ready")
      const place = ready >= 0 ? ready : Math.max(0, idle.findIndex(({ status }) => status === "end"))
      return idle.splice(place, 1)[0]
    })

    const reconnect = (redis: Redis) =>
      Effect.tryPromise({
        try: () => {
          asked.add(redis)
          return redis.connect()
        },
        catch: failed
      })

    const send = <A>(command: (redis: Redis) => Promise<A>): Effect.Effect<A, NotReady | CommandFailed> => {
      const run = (redis: Redis) => Effect.tryPromise({ try: () => command(redis), catch: failed })
      const notReady = (status: string) => Effect.fail(new NotReady({ status, neverSent: true }))
      return Effect.acquireUseRelease(
        take,
        (redis): Effect.Effect<A, NotReady | CommandFailed> => {
          switch (redis?.status) {
            case "ready":
              return run(redis)
            case "end":
              return Effect.zipRight(reconnect(redis), run(redis))
            default:
              return notReady(redis?.status ?? "in use")
          }
        },
        (redis, exit) =>
          Effect.sync(() => {
            if (redis === undefined) {
              return
            }
            // Nobody waits for the answer any more, and it would still come before that of the next command.
            if (Exit.isInterrupted(exit) && redis.status === "ready") {
              redis.disconnect(true)
            }
            idle.push(redis)
          })
      )
    }
    return { send, clients }
  })
