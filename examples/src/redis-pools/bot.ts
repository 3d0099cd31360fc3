/**
 * A chat bot that keeps sessions, a cache and its analytics in one Redis, each behind a dependency of its own.
 */
import * as Fallback from "@holdfast/core/Fallback"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Redis } from "ioredis"
import { Analytics, Cache, Sessions, sizes } from "./dependencies.js"
import { makePool } from "./pool.js"

/** What became of the calls of one kind since it was last asked. */
export interface Told {
  redis: number
  fallback: number
  failed: number
  slowestMillis: number
}

const nothing = (): Told => ({ redis: 0, fallback: 0, failed: 0, slowestMillis: 0 })

export const makeBot = (port: number, tries: () => number) =>
  Effect.gen(function*() {
    const pools = {
      sessions: yield* makePool({ port, size: sizes.sessions, tries }),
      cache: yield* makePool({ port, size: sizes.cache, tries }),
      analytics: yield* makePool({ port, size: sizes.analytics, tries })
    }
    let told = { sessions: nothing(), cache: nothing(), analytics: nothing() }

    const tell = <A, E, R>(kind: keyof typeof told, call: Effect.Effect<Fallback.Answer<A>, E, R>) =>
      Effect.gen(function*() {
        const [took, exit] = yield* Effect.timed(Effect.exit(call))
        const row = told[kind]
        row[exit._tag === "Failure" ? "failed" : exit.value.source === "primary" ? "redis" : "fallback"]++
        row.slowestMillis = Math.max(row.slowestMillis, Math.round(Duration.toMillis(took)))
      })

    // The last known session of the same user, for five minutes; else a guest, who can talk and not see the account.
    const known = yield* Fallback.cached({ key: (user: string) => user, capacity: 10_000, serveFor: "5 minutes" })
    const session = Fallback.withSource(Fallback.make({
      name: "session",
      tiers: [known.tier, Fallback.value("guest", { notice: "Your account is not to be seen for a moment." })]
    }))
    const made = Fallback.withSource(
      Fallback.make({ name: "answer", tiers: [Fallback.value("made again", { name: "make" })] })
    )
    const dropped = Fallback.withSource(Fallback.make({ name: "event", tiers: [Fallback.disabled("dropped")] }))

    return {
      pools,
      /** Everything since the last call of it. */
      report: () => {
        const before = told
        told = { sessions: nothing(), cache: nothing(), analytics: nothing() }
        return before
      },
      session: (user: string) =>
        tell(
          "sessions",
          pools.sessions.send((redis) => redis.get(`session:${user}`)).pipe(Sessions.call, session.with(user))
        ),
      cached: (question: string) =>
        tell("cache", pools.cache.send((redis) => redis.get(`answer:${question}`)).pipe(Cache.call, made)),
      track: (command: (redis: Redis) => Promise<unknown>) =>
        tell("analytics", pools.analytics.send(command).pipe(Analytics.call, dropped))
    }
  })

export type Bot = Effect.Effect.Success<ReturnType<typeof makeBot>>
