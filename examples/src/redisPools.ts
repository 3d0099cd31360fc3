/**
 * One Redis, three pools of connections by criticality: sessions 30, cache 15, analytics 5. A real Redis is killed and comes back.
 *
 *     node --import tsx examples/src/redisPools.ts        needs redis-server
 *
 * It prints three chapters. Analytics that block: with one pool of 50 for all, no session is answered before the blocked commands are
 * over; with three pools, all are. The blip: Redis is away for 3 s of the story, 0.6 s here; sessions are answered by what is remembered,
 * the circuits open at once, and the clients reconnect by themselves, without a connection of ours. The long outage: the clients give
 * up, and now, and only now, we connect, as often as a connection is needed.
 */
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { count, table } from "./drawing.js"
import { makeBot } from "./redis-pools/bot.js"
import { layer } from "./redis-pools/dependencies.js"
import { redisServer } from "./redis-pools/redisServer.js"
import {
  CircuitTimes,
  everyoneGaveUp,
  everyoneIsBack,
  onePool,
  outage,
  threePools,
  traffic,
  users
} from "./redis-pools/story.js"

/** A second of the story is a fifth here, and so is the time that a circuit stays open. */
const shortened = ConfigProvider.fromMap(
  new Map(["SESSIONS", "CACHE", "ANALYTICS"].map((name) => [`${name}_CIRCUIT_BREAKER_OPEN_DURATION`, "200 millis"])),
  { pathDelim: "_" }
)

const times = new CircuitTimes()

/**
 * How many calls Redis answered, a fallback, nobody; how long after Redis died the circuits opened, and after it was back they closed;
 * how many connections the clients made by themselves, and how many we asked for.
 */
const printOutage = (title: string, rows: Effect.Effect.Success<ReturnType<typeof outage>>) =>
  Console.log(table([
    [title, "Redis", "fallback", "failed", "open after", "closed after", "connected by clients", "by us"],
    ...rows.map(({ byClients, byUs, closedAfter, failed, fallback, name, openedAfter, redis }) => {
      const calls = [redis, fallback, failed].map(count)
      return [name, ...calls, `${openedAfter} ms`, `${closedAfter} ms`, count(byClients), count(byUs)]
    })
  ]))

const program = Effect.gen(function*() {
  const redis = yield* redisServer
  let tries = Infinity
  const bot = yield* makeBot(redis.port, () => tries)
  yield* Effect.forEach(users, (user) => bot.pools.sessions.send((one) => one.set(`session:${user}`, user)))

  const shared = yield* onePool(redis.port)
  const apart = yield* threePools(bot)
  yield* Console.log(table([
    ["50 analytics commands block", "connections held", "sessions answered meanwhile"],
    ["one pool of 50", count(shared.held), `${shared.meanwhile} of ${users.length}`],
    ["three pools", count(apart.held), `${apart.meanwhile} of ${users.length}`]
  ]))

  yield* traffic(bot)
  yield* Console.log("")
  yield* printOutage("the blip", yield* outage(redis, bot, times, Effect.sleep("600 millis"), everyoneIsBack(bot)))

  tries = 2
  const patienceEnds = Effect.tap(everyoneGaveUp(bot), () => Effect.sync(() => tries = Infinity))
  yield* Console.log("")
  yield* printOutage("the long outage", yield* outage(redis, bot, times, patienceEnds))
})

await Effect.runPromise(program.pipe(
  Effect.scoped,
  Effect.provide(
    Layer.mergeAll(layer, ResilienceEvent.layer(times.listen)).pipe(
      Layer.provide(Layer.setConfigProvider(shortened))
    )
  ),
  // The linter warns of a circuit that is open for 0.2 s, and rightly.
  Logger.withMinimumLogLevel(LogLevel.Error)
))

/* Prints:

50 analytics commands block   connections held   sessions answered meanwhile
one pool of 50                              50                       0 of 30
three pools                                  5                      30 of 30

the blip    Redis   fallback   failed   open after   closed after   connected by clients   by us
sessions        2         19        0       366 ms         366 ms                     30       0
cache           2         19        0       367 ms         302 ms                     15       0
analytics       2         19        0       400 ms         365 ms                      5       0

the long outage   Redis   fallback   failed   open after   closed after   connected by clients   by us
sessions              5         21        0       159 ms         109 ms                      0       1
cache                 5         20        0       159 ms          57 ms                      0       2
analytics             3         24        0       159 ms         169 ms                      0       2
*/
