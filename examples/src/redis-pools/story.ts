/**
 * The chapters: analytics that block, a blip, and an outage that outlasts the patience of the clients.
 */
import * as Bulkhead from "@holdfast/core/Bulkhead"
import type * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Redis } from "ioredis"
import type { Bot } from "./bot.js"
import { sizes } from "./dependencies.js"
import { makePool } from "./pool.js"
import type { RedisServer } from "./redisServer.js"

export const users = Array.from({ length: 30 }, (_, index) => `user-${index}`)

const until = (what: string, condition: () => boolean) =>
  Effect.sleep("5 millis").pipe(
    Effect.repeat({ until: condition }),
    Effect.timeoutFail({ duration: "20 seconds", onTimeout: () => new Error(`gave up waiting: ${what}`) })
  )

/** Keeps fifty analytics commands on their connections for two seconds, then asks for thirty sessions: how many are answered meanwhile? */
const blocked = <R1, R2>(
  track: (command: (redis: Redis) => Promise<unknown>) => Effect.Effect<unknown, unknown, R1>,
  session: (user: string) => Effect.Effect<unknown, unknown, R2>
) =>
  Effect.gen(function*() {
    let holding = 0
    let most = 0
    let over = 0
    let meanwhile = 0
    const block = track((redis) => {
      most = Math.max(most, ++holding)
      return redis.blpop("nothing", 2).finally(() => {
        holding--
        over++
      })
    })
    const ask = (user: string) =>
      Effect.map(session(user), () => {
        meanwhile += over === 0 ? 1 : 0
      })
    yield* Effect.all(
      [
        Effect.all(Array.from({ length: 50 }, () => block), { concurrency: "unbounded" }),
        Effect.forEach(users, ask, { concurrency: "unbounded" })
      ],
      { concurrency: "unbounded" }
    )
    return { held: most, meanwhile }
  })

/** One pool for everybody: whoever finds no connection waits for one, as in most pools. */
export const onePool = (port: number) =>
  Effect.scoped(Effect.gen(function*() {
    const pool = yield* makePool({ port, size: 50, tries: () => Infinity })
    const turn = yield* Bulkhead.make({ name: "one pool", maxConcurrent: 50, maxQueue: 1000 })
    return yield* blocked(
      (command) => turn(pool.send(command)),
      (user) => turn(pool.send((redis) => redis.get(`session:${user}`)))
    )
  }))

export const threePools = (bot: Bot) => blocked(bot.track, bot.session)

/** Messages that come in while the rest happens. */
export const traffic = (bot: Bot) => {
  let at = 0
  const message = Effect.suspend(() => {
    const user = users[at++ % users.length]!
    return Effect.all([
      bot.session(user),
      bot.cached("opening hours"),
      bot.track((redis) => redis.lpush("events", `message of ${user}`))
    ], { concurrency: "unbounded", discard: true })
  })
  // Forked: a message does not wait for the one before it.
  return Effect.forkScoped(Effect.repeat(Effect.forkScoped(message), Schedule.spaced("5 millis")))
}

const names = ["sessions", "cache", "analytics"] as const

/** When the circuits opened for the first time and closed for the last time since `begin`. */
export class CircuitTimes {
  private opened = new Map<string, number>()
  private closed = new Map<string, number>()

  readonly listen: ResilienceEvent.Listener = (event) => {
    if (event._tag === "CircuitOpened") {
      const name = event.dependency ?? event.breaker
      this.closed.delete(name)
      this.opened.set(name, this.opened.get(name) ?? performance.now())
    } else if (event._tag === "CircuitClosed") {
      this.closed.set(event.dependency ?? event.breaker, performance.now())
    }
  }

  begin(): void {
    this.opened = new Map()
    this.closed = new Map()
  }

  allOpened(): boolean {
    return this.opened.size === names.length
  }

  allClosed(): boolean {
    return this.closed.size === names.length
  }

  /** Milliseconds from these instants to the opening and to the closing. */
  since(name: string, killedAt: number, backAt: number) {
    return {
      openedAfter: Math.round((this.opened.get(name) ?? NaN) - killedAt),
      closedAfter: Math.round((this.closed.get(name) ?? NaN) - backAt)
    }
  }
}

/** Redis dies, and is back as soon as `away` has ended; the chapter is over when all circuits are closed again, and `end` has. */
export const outage = (
  redis: RedisServer,
  bot: Bot,
  times: CircuitTimes,
  away: Effect.Effect<unknown, Error>,
  end: Effect.Effect<unknown, Error> = Effect.void
) =>
  Effect.gen(function*() {
    const pools = Object.values(bot.pools)
    for (const { clients } of pools) {
      clients.reconnected.clear()
      clients.connectedByUs.clear()
    }
    times.begin()
    bot.report()
    const killedAt = performance.now()
    yield* redis.kill
    yield* away
    yield* until("all circuits open", () => times.allOpened())
    yield* redis.start
    const backAt = performance.now()
    yield* until("all circuits closed", () => times.allClosed())
    yield* end
    const told = bot.report()
    return names.map((name) => {
      const { connectedByUs, reconnected } = bot.pools[name].clients
      const connected = { byClients: reconnected.size, byUs: connectedByUs.size }
      return { name, ...told[name], ...times.since(name, killedAt, backAt), ...connected }
    })
  })

/** Until every client is connected again. */
export const everyoneIsBack = (bot: Bot) =>
  until("all clients are back", () => names.every((name) => bot.pools[name].clients.reconnected.size === sizes[name]))

/** Until every client has given up. */
export const everyoneGaveUp = (bot: Bot) =>
  until("all clients gave up", () => names.every((name) => bot.pools[name].clients.gaveUp.size === sizes[name]))
