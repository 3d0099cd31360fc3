import { assert, describe, it } from "@effect/vitest"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

describe("VirtualClock", () => {
  it.effect("wakes sleepers in the order of their instants, each at its own instant", () =>
    Effect.gen(function*() {
      const time = yield* VirtualClock.make()
      const seen: Array<[string, number]> = []
      const sleeper = (name: string, millis: number) =>
        Effect.sleep(millis).pipe(Effect.zipRight(Effect.sync(() => seen.push([name, time.now()]))))
      yield* Effect.forkAll([
        sleeper("late", 300),
        sleeper("early", 100),
        sleeper("early too", 100).pipe(Effect.zipRight(sleeper("chained", 50)))
      ]).pipe(VirtualClock.provide(time))
      yield* time.advance("299 millis")
      assert.deepStrictEqual(seen, [["early", 100], ["early too", 100], ["chained", 150]])
      assert.strictEqual(time.sleepers(), 1)
      yield* time.advance(1)
      assert.deepStrictEqual(seen[3], ["late", 300])
    }))

  it.effect("a sleep that is interrupted leaves no sleeper behind", () =>
    Effect.gen(function*() {
      const time = yield* VirtualClock.make()
      const fiber = yield* Effect.fork(VirtualClock.provide(Effect.sleep("1 day"), time))
      yield* time.runToIdle
      assert.strictEqual(time.sleepers(), 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(time.sleepers(), 0)
    }))

  it.effect("a step backwards makes sleepers wait for the same instant, a step forwards wakes them late", () =>
    Effect.gen(function*() {
      const time = yield* VirtualClock.make({ start: 1000 })
      const fiber = yield* Effect.fork(
        Effect.sleep(100).pipe(Effect.zipRight(Clock.currentTimeMillis), VirtualClock.provide(time))
      )
      yield* time.runToIdle
      yield* time.set(0)
      yield* time.advance(1000)
      assert.isNull(fiber.unsafePoll())
      yield* time.set(5000)
      assert.strictEqual(yield* Fiber.join(fiber), 5000)
    }))

  it.effect("tells fractions of a millisecond in nanoseconds", () =>
    Effect.gen(function*() {
      const time = yield* VirtualClock.make({ start: 1_700_000_000_000 })
      yield* time.advance(Duration.micros(1500n))
      assert.strictEqual(time.clock.unsafeCurrentTimeNanos(), 1_700_000_000_001_500_000n)
    }))

  it.effect("takes thousands of steps a second, and thousands of sleepers at once", () =>
    Effect.gen(function*() {
      const steps = 5_000
      const began = process.cpuUsage()
      yield* VirtualClock.run(Effect.repeatN(Effect.sleep("1 second"), steps - 1))
      const crowd = yield* VirtualClock.run(
        Effect.forEach(
          Array.from({ length: 1_000 }, (_, index) => index),
          (index) => Effect.zipRight(Effect.sleep(1 + (index * 7919) % 1000), Clock.currentTimeMillis),
          { concurrency: "unbounded" }
        )
      )
      assert.strictEqual(Math.max(...crowd), 1000)
      const { system, user } = process.cpuUsage(began)
      // The time of the processor, since the machine may be busy with other things.
      assert.isAbove(steps / ((system + user) / 1e6), 2000)
    }))

  it.effect("runs an hour of a thousand sleeps at once and leaves the caller's clock alone", () =>
    Effect.gen(function*() {
      const before = yield* Clock.currentTimeMillis
      const ended = yield* VirtualClock.run(
        Effect.sleep("3600 millis").pipe(Effect.repeatN(999), Effect.zipRight(Clock.currentTimeMillis))
      )
      assert.strictEqual(ended, 3_600_000)
      assert.strictEqual(yield* Clock.currentTimeMillis, before)
    }))

  it.effect("is not idle while a fiber has operations to run, however many", () =>
    Effect.gen(function*() {
      const count = yield* VirtualClock.run(
        Effect.timeout(Effect.iterate(0, { while: (n) => n < 300_000, body: (n) => Effect.succeed(n + 1) }), "1 second")
      )
      assert.strictEqual(count, 300_000)
    }))

  it.effect("sleeping for no time lets the others run and needs no step", () =>
    Effect.gen(function*() {
      const time = yield* VirtualClock.make()
      const fiber = yield* Effect.fork(VirtualClock.provide(Effect.sleep(0), time))
      yield* time.runToIdle
      assert.deepStrictEqual(fiber.unsafePoll(), Exit.void)
      assert.strictEqual(time.now(), 0)
    }))

  it.effect("names a deadlock when everything is idle and nobody sleeps, and runs the finalizers first", () =>
    Effect.gen(function*() {
      let finalized = false
      const broken = Effect.sleep("1 second").pipe(
        Effect.zipRight(Effect.flatMap(Deferred.make<void>(), Deferred.await)),
        Effect.onInterrupt(() => Effect.sync(() => (finalized = true)).pipe(Effect.delay("1 second")))
      )
      const exit = yield* Effect.exit(VirtualClock.run(broken))
      assert.isTrue(Exit.isFailure(exit))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, VirtualClock.Deadlock)
      assert.include(String(defect), "deadlock at 1000 ms")
      assert.isTrue(finalized)
    }))

  it.effect("catches a retry that still waits its backoff after the last attempt", () =>
    Effect.gen(function*() {
      const took = (retry: (attempts: number) => Effect.Effect<void, "busy">) =>
        VirtualClock.run(Effect.zipRight(Effect.exit(retry(3)), Clock.currentTimeMillis))
      const correct = (attempts: number): Effect.Effect<void, "busy"> =>
        attempts === 1 ? Effect.fail("busy") : Effect.delay(Effect.suspend(() => correct(attempts - 1)), "10 minutes")
      const broken = (attempts: number): Effect.Effect<void, "busy"> =>
        attempts === 0 ? Effect.fail("busy") : Effect.delay(Effect.suspend(() => broken(attempts - 1)), "10 minutes")
      assert.strictEqual(yield* took(correct), 1_200_000)
      assert.strictEqual(yield* took(broken), 1_800_000)
    }))

  it.effect("names an effect that never ends", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(VirtualClock.run(Effect.forever(Effect.sleep(1)), { maximumSteps: 50 }))
      assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it ended", "after 50 steps")
    }))

  it.effect("keeps failures, and passes an interruption on", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Effect.exit(VirtualClock.run(Effect.fail("no"))), Exit.fail("no"))
      let interrupted = false
      const fiber = yield* Effect.fork(
        VirtualClock.run(Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => (interrupted = true)))), {
          quietTurns: 1000
        })
      )
      yield* Effect.yieldNow()
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      assert.isTrue(interrupted)
    }))
})
