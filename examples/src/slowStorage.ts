/**
 * Slow, not down: the storage behind the pictures of a shop takes 10 to 30 seconds for what used to take 40 ms, as Amazon's S3 did on 28
 * February 2017. No error is ever returned. The same load, request for request, without any protection and then with one layer more each
 * time.
 *
 *     node --import tsx examples/src/slowStorage.ts
 *
 * In virtual time: 85 seconds with 50 requests a second, five times over. It prints, of the slow minute, how many catalog pages were
 * answered, which need no storage at all, how many pictures were fresh, were yesterday's, or failed, and after how long; and how often the
 * storage was asked, how many workers it held at once, and for how many seconds in all. Without a timeout all 200 workers wait for the
 * storage, and the catalog is gone with the pictures; a timeout brings the catalog back; the circuit breaker makes the pictures fail at
 * once; the bulkhead bounds the seconds before it opens; the fallback shows yesterday's pictures.
 */
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Fallback from "@holdfast/core/Fallback"
import * as Policy from "@holdfast/core/Policy"
import * as Timeout from "@holdfast/core/Timeout"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { makeWorkers } from "./demo/workers.js"
import { count, table } from "./drawing.js"

/** Milliseconds; at every beat as many catalog pages as pictures are asked for. Readers leave after ten seconds. */
const day = { slowFrom: 5000, slowUntil: 65_000, end: 85_000, beat: 400, each: 10, patience: 10_000 } as const

const isSlow = (now: number): boolean => now >= day.slowFrom && now < day.slowUntil

type Picture = "fresh" | "yesterday's"

type Protect = <E>(picture: Effect.Effect<"fresh", E>) => Effect.Effect<Picture, unknown>

const limit = Timeout.make("2 seconds")
const breaker = CircuitBreaker.make({
  name: "storage",
  tripPolicy: CircuitBreaker.lowTraffic,
  openDuration: "30 seconds"
})
const places = Bulkhead.make({ name: "storage", maxConcurrent: 20 })
const yesterdays = Fallback.orElse("yesterday's" as const)

const breakerOverTimeout = Effect.map(breaker, (circuit) => Policy.compose(circuit, limit))
const bulkheadOverAll = Effect.map(
  Effect.all([places, breaker]),
  ([own, circuit]) => Policy.compose(own, circuit, limit)
)

/** Each is built for each run: breakers and bulkheads are state. */
const protections: ReadonlyArray<readonly [string, Effect.Effect<Protect>]> = [
  ["nothing", Effect.succeed((picture) => picture)],
  ["timeout of 2 s", Effect.succeed((picture) => limit(picture))],
  ["+ circuit breaker", Effect.map(breakerOverTimeout, (policy): Protect => (picture) => policy(picture))],
  ["+ bulkhead of 20", Effect.map(bulkheadOverAll, (policy): Protect => (picture) => policy(picture))],
  ["+ fallback", Effect.map(bulkheadOverAll, (policy): Protect => (picture) => yesterdays(policy(picture)))]
]

/** The storage, and what it did to those who called it while it was slow. */
const makeStorage = () => {
  const seen = { held: 0, most: 0, seconds: 0, asked: 0 }
  const fetch = Effect.acquireUseRelease(
    Effect.map(Clock.currentTimeMillis, (since) => {
      seen.held++
      seen.most = Math.max(seen.most, seen.held)
      seen.asked += isSlow(since) ? 1 : 0
      return since
    }),
    (since) =>
      Effect.flatMap(isSlow(since) ? Random.nextRange(10_000, 30_000) : Effect.succeed(40), Effect.sleep).pipe(
        Effect.as("fresh" as const)
      ),
    (since) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        seen.held--
        seen.seconds += isSlow(since) ? (now - since) / 1000 : 0
      })
  )
  return { seen, fetch }
}

const run = (makeProtect: Effect.Effect<Protect>) =>
  Effect.gen(function*() {
    const protect = yield* makeProtect
    const storage = makeStorage()
    // As threads would be: one that waits does nothing else, and does not notice that its reader has gone.
    const workers = yield* makeWorkers(200, 10_000)
    const told = { catalog: 0, fresh: 0, "yesterday's": 0, failed: 0 }
    const asked = { catalog: 0, picture: 0 }
    const failedAfter: Array<number> = []

    /** What a reader gets, who does not wait for ever. */
    const read = (what: "catalog" | "picture", page: Effect.Effect<"catalog" | Picture, unknown>) =>
      Effect.gen(function*() {
        const since = yield* Clock.currentTimeMillis
        const exit = yield* Effect.exit(workers.run<"catalog" | Picture, unknown, never>(page, Effect.fail("full")))
        const took = (yield* Clock.currentTimeMillis) - since
        if (!isSlow(since)) {
          return
        }
        asked[what]++
        if (exit._tag === "Success" && took < day.patience) {
          told[exit.value]++
        } else if (what === "picture") {
          told.failed++
          failedAfter.push(Math.min(took, day.patience))
        }
      })
    const catalog = read("catalog", Effect.as(Effect.sleep("20 millis"), "catalog"))
    const picture = read("picture", protect(storage.fetch))

    for (let at = 0; at < day.end; at += day.beat) {
      yield* Effect.replicateEffect(Effect.zipRight(Effect.fork(catalog), Effect.fork(picture)), day.each)
      yield* Effect.sleep(day.beat)
    }
    // Until the last of those who hang has ended.
    yield* Effect.sleep("2 minutes")

    const share = (part: number, whole: number) => `${Math.round(100 * part / whole)} %`
    const median = failedAfter.sort((a, b) => a - b)[Math.floor(failedAfter.length / 2)]
    return [
      share(told.catalog, asked.catalog),
      share(told.fresh, asked.picture),
      share(told["yesterday's"], asked.picture),
      share(told.failed, asked.picture),
      median === undefined ? "" : `${(median / 1000).toFixed(1)} s`,
      count(storage.seen.asked),
      count(storage.seen.most),
      count(storage.seen.seconds)
    ]
  })

const rows = await Effect.runPromise(
  Effect.forEach(protections, ([name, protect]) =>
    VirtualClock.run(Effect.scoped(run(protect))).pipe(
      Effect.withRandom(Random.make("28 February 2017")),
      Effect.map((figures) => [name, ...figures])
    ))
)

const legend = `catalog: pages that need no picture. Pictures: fresh, old (yesterday's) or failed, and after how long
they failed. Of the storage: requests asked of it, the most it held at once, seconds it held them.
`

const columns = ["catalog", "fresh", "old", "failed", "after", "asked", "held", "seconds"]

console.log(legend)
console.log(table([["the slow minute", ...columns], ...rows]))

/* Prints:

catalog: pages that need no picture. Pictures: fresh, old (yesterday's) or failed, and after how long
they failed. Of the storage: requests asked of it, the most it held at once, seconds it held them.

the slow minute     catalog   fresh     old   failed    after   asked   held   seconds
nothing                29 %    12 %     0 %     88 %   10.0 s     670    200    13,392
timeout of 2 s        100 %     0 %     0 %    100 %    2.0 s   1,500     50     3,000
+ circuit breaker     100 %     0 %     0 %    100 %    0.0 s      51     50       102
+ bulkhead of 20      100 %     0 %     0 %    100 %    0.0 s      21     20        42
+ fallback            100 %     0 %   100 %      0 %               21     20        42
*/
