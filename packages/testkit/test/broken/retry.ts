import * as Backoff from "@holdfast/core/Backoff"
import * as Failure from "@holdfast/core/Failure"
import * as Core from "@holdfast/core/Retry"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import * as FaultProxy from "@holdfast/testkit/FaultProxy"
import * as MachineLaws from "@holdfast/testkit/MachineLaws"
import * as Toxic from "@holdfast/testkit/Toxic"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as net from "node:net"
import { server } from "../support/network.js"
import { bug, type Protect } from "./bug.js"

class Busy extends Failure.Retryable("Busy")<{}> {}

const clients = 100

export const jitterMissing = bug<Protect>({
  policy: "Retry",
  title: "no jitter: all clients come back at the same instant",
  tool: "VirtualClock",
  broken: () =>
    Effect.succeed((effect) => Effect.retry(effect, { schedule: Schedule.exponential("1 second"), times: 2 })),
  real: () => Effect.succeed(Core.make({ maxRetries: 2, schedule: Backoff.exponential("1 second") })),
  check: (make) =>
    Effect.gen(function*() {
      const arrivals: Array<number> = []
      const attempt = Effect.flatMap(Clock.currentTimeMillis, (now) => {
        arrivals.push(now)
        return Effect.fail(new Busy())
      })
      yield* Effect.forEach(
        Array.from({ length: clients }),
        () => Effect.flatMap(make(), (protect) => Effect.exit(protect(attempt))),
        { concurrency: "unbounded", discard: true }
      )
      const again = arrivals.filter((instant) => instant > 0).map(Math.floor)
      const most = Math.max(...again.map((instant) => again.filter((other) => other === instant).length))
      return most <= clients / 10 ? "" : `${most} of ${clients} clients came back in the same millisecond`
    }).pipe(VirtualClock.run, Effect.withRandom(Random.make("clients")))
})

/** A clock that stands where it is put: nothing in this check waits. */
class StandingClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  now = 0
  readonly unsafeCurrentTimeMillis = () => this.now
  readonly unsafeCurrentTimeNanos = () => BigInt(this.now) * 1_000_000n
  readonly currentTimeMillis = Effect.sync(this.unsafeCurrentTimeMillis)
  readonly currentTimeNanos = Effect.sync(this.unsafeCurrentTimeNanos)
  readonly sleep = () => Effect.dieMessage("nobody sleeps here")
}

const share = 0.2
const perSecond = 1

export const budgetIgnored = bug<Protect>({
  policy: "Retry",
  title: "the retry budget is ignored",
  tool: "MachineLaws",
  broken: () => Effect.succeed((effect) => Effect.retry(effect, { times: 2 })),
  real: () =>
    Effect.map(
      RetryBudget.make({ percent: share, minimumPerSecond: perSecond }),
      (budget) => Core.make({ maxRetries: 2, schedule: Backoff.none, budget })
    ),
  check: (make) =>
    Effect.sync(() => {
      interface Event {
        readonly at: number
        readonly retries: number
      }
      try {
        MachineLaws.histories({
          make: () => ({
            machine: { protect: Effect.runSync(make()), clock: new StandingClock() },
            model: { events: [] as Array<Event> }
          }),
          actions: {
            time: {
              argument: fc.integer({ min: 0, max: 2000 }),
              run: ({ clock }, _, millis) => {
                clock.now += millis
              }
            },
            failingCalls: {
              weight: 3,
              argument: fc.integer({ min: 1, max: 10 }),
              run: ({ clock, protect }, { events }, calls, edge) => {
                for (let call = 0; call < calls; call++) {
                  let attempts = 0
                  const attempt = Effect.suspend(() => {
                    attempts++
                    return Effect.fail(new Busy())
                  })
                  Effect.runSyncExit(Effect.withClock(protect(attempt), clock))
                  events.push({ at: clock.now, retries: attempts - 1 })
                  edge(attempts > 1 ? "retried" : "given up at once")
                }
              }
            }
          },
          // Asked when there was a retry: the budget forgets the calls that paid for it after nine to ten seconds.
          invariant: ({ clock }, { events }) => {
            if (events.at(-1)?.at !== clock.now) return
            const since = (millis: number) => events.filter(({ at }) => at > clock.now - millis)
            const retries = since(9_000).reduce((sum, event) => sum + event.retries, 0)
            const allowed = Math.floor(since(10_000).length * share + 10 * perSecond)
            return retries <= allowed ? [] : `${retries} retries within 9 seconds, and the budget allows ${allowed}`
          },
          edges: ["retried", "given up at once"],
          runs: 60,
          length: 40
        })
        return ""
      } catch (error) {
        return /after step \d+.*/.exec(String(error))?.[0] ?? String(error)
      }
    })
})

export const lostAnswerRepeated = bug<Protect>({
  policy: "Retry",
  title: "a charge whose answer was lost is made again",
  tool: "FaultProxy",
  broken: () => Effect.succeed((effect) => Effect.retry(effect, { times: 2 })),
  real: () => Effect.succeed(Core.make({ maxRetries: 2, schedule: Backoff.none }).with({ repeatable: false })),
  check: (make) =>
    Effect.gen(function*() {
      let charges = 0
      const { address } = yield* server(({ socket }) =>
        socket.on("data", () => {
          charges++
          socket.write("charged")
        })
      )
      const proxy = yield* FaultProxy.make({ upstream: address, toxics: [Toxic.resetPeer({ stream: "downstream" })] })
      const charge = Effect.async<void, Busy>((resume) => {
        const socket = net.connect({ host: "127.0.0.1", port: proxy.port() })
        socket.once("connect", () => socket.write("charge"))
        socket.once("data", () => resume(Effect.void))
        socket.once("error", () => resume(Effect.fail(new Busy())))
        return Effect.sync(() => socket.destroy())
      })
      const protect = yield* make()
      yield* Effect.exit(protect(charge))
      return charges === 1 ? "" : `the server charged ${charges} times for one order`
    }).pipe(Effect.scoped, Effect.orDie)
})
