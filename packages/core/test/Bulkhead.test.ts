import { assert, describe, it } from "@effect/vitest"
import * as Alarm from "@holdfast/core/Alarm"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as Deadline from "@holdfast/core/Deadline"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Timeout from "@holdfast/core/Timeout"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { loggedInto } from "./support/logged.js"

// B09 has no test: a permit here has no weight, so nothing can be granted in part.

/** With time enough for a busy machine. */
const virtual = (name: string, body: () => Effect.Effect<void, unknown>) =>
  it.live(name, () => VirtualClock.run(Effect.suspend(body)), 60_000)

const now = Clock.currentTimeMillis

const settle = Effect.sleep("1 millis")

/** A call that holds its permit until the test says so. */
const hold = (policy: Policy.Policy<unknown>) =>
  Effect.gen(function*() {
    const gate = yield* Deferred.make<string>()
    const fiber = yield* Effect.fork(policy(Deferred.await(gate)))
    yield* settle
    return { fiber, free: Effect.zipRight(Deferred.succeed(gate, "done"), settle) }
  })

const clean = (bulkhead: Bulkhead.Bulkhead) =>
  Effect.gen(function*() {
    const { active, queued } = yield* bulkhead.snapshot
    assert.deepStrictEqual({ active, queued }, { active: 0, queued: 0 })
    assert.strictEqual(Alarm.of(yield* Effect.clock).size, 0)
  })

const sleeping = Effect.sleep("100 millis")

describe("Bulkhead", () => {
  virtual("refuses a call when all places are taken, and does not start it", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "payments", maxConcurrent: 2 })
      const one = yield* hold(bulkhead)
      const two = yield* hold(bulkhead)
      let started = 0
      const refused = yield* Effect.either(bulkhead(Effect.sync(() => started++)))
      assert.isTrue(Either.isLeft(refused))
      const error = Either.getOrThrow(Either.flip(refused)) as Bulkhead.BulkheadFull
      assert.instanceOf(error, Bulkhead.BulkheadFull)
      assert.deepStrictEqual(
        { ...error },
        {
          _tag: "BulkheadFull",
          policy: "payments",
          dependency: "payments",
          reason: "full",
          maxConcurrent: 2,
          active: 2,
          queued: 0
        }
      )
      assert.strictEqual(error.message, "The bulkhead of payments is full: 2 of 2 calls run, 0 wait")
      assert.strictEqual(started, 0)
      yield* one.free
      assert.strictEqual(yield* bulkhead(Effect.sync(() => ++started)), 1)
      yield* two.free
      assert.strictEqual((yield* bulkhead.snapshot).rejected, 1)
      yield* clean(bulkhead)
    }))

  virtual("a full bulkhead leaves another one of the same limits untouched", () =>
    Effect.gen(function*() {
      const payments = yield* Bulkhead.make({ name: "payments", maxConcurrent: 1 })
      const search = yield* Bulkhead.make({ name: "search", maxConcurrent: 1 })
      const held = yield* hold(payments)
      assert.strictEqual(yield* Effect.flip(payments(Effect.void)).pipe(Effect.map((error) => error.reason)), "full")
      assert.strictEqual(yield* search(Effect.succeed("found")), "found")
      assert.strictEqual((yield* search.snapshot).rejected, 0)
      yield* held.free
      yield* clean(payments)
    }))

  for (
    const [ending, body, tag] of [
      ["a success", Effect.succeed("value"), "Success"],
      ["a failure", Effect.fail("no"), "Fail"],
      ["a defect", Effect.die("bug"), "Die"],
      [
        "a throw while the effect is built",
        Effect.suspend(() => {
          throw new Error("bug")
        }),
        "Die"
      ],
      ["its own interruption", Effect.interrupt, "Interrupt"]
    ] as ReadonlyArray<[string, Effect.Effect<string, string>, string]>
  ) {
    virtual(`gives the permit back after ${ending}, with and without a wait`, () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 1 })
        for (const waiting of [false, true]) {
          const held = waiting ? yield* hold(bulkhead) : undefined
          const fiber = yield* Effect.fork(bulkhead(body))
          yield* settle
          assert.strictEqual((yield* bulkhead.snapshot).queued, waiting ? 1 : 0)
          if (held !== undefined) yield* held.free
          const exit = yield* Fiber.await(fiber)
          assert.strictEqual(Exit.isSuccess(exit) ? "Success" : exit.cause._tag, tag)
          yield* clean(bulkhead)
        }
      }))
  }

  virtual("gives the permit back when the caller is interrupted while it runs", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1 })
      const held = yield* hold(bulkhead)
      yield* Fiber.interrupt(held.fiber)
      yield* clean(bulkhead)
      assert.strictEqual(yield* bulkhead(Effect.succeed(1)), 1)
    }))

  virtual("holds the permit until the finalizers of an interrupted call have run", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1 })
      const fiber = yield* Effect.fork(bulkhead(Effect.ensuring(Effect.never, Effect.sleep("1 second"))))
      yield* settle
      yield* Fiber.interruptFork(fiber)
      yield* Effect.sleep("500 millis")
      assert.strictEqual((yield* bulkhead.snapshot).active, 1)
      yield* Fiber.await(fiber)
      yield* clean(bulkhead)
    }))

  virtual("serves those who wait in the order in which they came, and nobody overtakes", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 10 })
      const held = yield* hold(bulkhead)
      const order: Array<number> = []
      const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
      for (let index = 0; index < 10; index++) {
        fibers.push(yield* Effect.fork(bulkhead(Effect.zipRight(Effect.sync(() => order.push(index)), sleeping))))
        yield* settle
      }
      assert.strictEqual((yield* bulkhead.snapshot).queued, 10)
      yield* held.free
      // The permit was handed over: a newcomer finds none although the waiter has only just begun.
      const late = yield* Effect.fork(bulkhead(Effect.sync(() => order.push(99))))
      yield* Effect.forEach([...fibers, late], Fiber.join)
      assert.deepStrictEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 99])
      yield* clean(bulkhead)
    }))

  virtual("lets maxQueue calls wait and refuses the next at once", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 2 })
      const held = yield* hold(bulkhead)
      const waiting = yield* Effect.forEach([1, 2], () => Effect.fork(bulkhead(Effect.void)))
      yield* settle
      const before = yield* now
      const error = yield* Effect.flip(bulkhead(Effect.void))
      assert.strictEqual(yield* now, before)
      assert.deepStrictEqual([error.reason, error.active, error.queued], ["full", 1, 2])
      yield* held.free
      yield* Effect.forEach(waiting, Fiber.join)
      yield* clean(bulkhead)
    }))

  virtual(
    "ends a wait with reason \"waited\" after exactly maxWait, and the place in the queue is free again",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 1, maxWait: "250 millis" })
        const held = yield* hold(bulkhead)
        const before = yield* now
        const error = yield* Effect.flip(bulkhead(Effect.void))
        assert.strictEqual((yield* now) - before, 250)
        assert.deepStrictEqual([error.reason, error.active, error.queued], ["waited", 1, 0])
        assert.strictEqual(error.message, "The bulkhead of b had no place in time: 1 of 1 calls run, 0 wait")
        const next = yield* Effect.fork(bulkhead(Effect.succeed("next")))
        yield* settle
        yield* held.free
        assert.strictEqual(yield* Fiber.join(next), "next")
        assert.strictEqual((yield* bulkhead.snapshot).rejected, 1)
        yield* clean(bulkhead)
      })
  )

  virtual("a call that got its place in time is not touched by maxWait afterwards", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 1, maxWait: "150 millis" })
      const first = yield* Effect.fork(bulkhead(sleeping))
      yield* settle
      assert.strictEqual(yield* bulkhead(Effect.delay(Effect.succeed("slow"), "10 seconds")), "slow")
      yield* Fiber.join(first)
      yield* clean(bulkhead)
    }))

  virtual(
    "ends a wait with reason \"deadline\" when the deadline of the caller is nearer than maxWait",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 1, maxWait: "1 second" })
        const held = yield* hold(bulkhead)
        const before = yield* now
        const error = yield* Effect.flip(Deadline.within(bulkhead(Effect.void), "80 millis"))
        assert.strictEqual((yield* now) - before, 80)
        assert.strictEqual(error.reason, "deadline")
        assert.include(error.message, "before the deadline")
        const nearer = yield* Effect.flip(Deadline.within(bulkhead(Effect.void), "2 seconds"))
        assert.strictEqual(nearer.reason, "waited")
        yield* held.free
        yield* clean(bulkhead)
      })
  )

  virtual(
    "refuses at once with reason \"deadline\" when the deadline has passed, but not while a place is free",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 1 })
        const late = (effect: Effect.Effect<string>) =>
          Deadline.within(Effect.zipRight(Effect.sleep("20 millis"), bulkhead(effect)), "10 millis")
        assert.strictEqual(yield* late(Effect.succeed("free")), "free")
        const held = yield* hold(bulkhead)
        assert.strictEqual((yield* Effect.flip(late(Effect.succeed("late")))).reason, "deadline")
        yield* held.free
        yield* clean(bulkhead)
      })
  )

  for (const interruptible of [true, false]) {
    virtual(
      `an own total limit ends the wait of ${
        interruptible ? "a" : "an uninterruptible"
      } caller with TimedOut of scope "queue"`,
      () =>
        Effect.gen(function*() {
          const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 5 })
          const policy = Policy.compose(Timeout.make("300 millis", { scope: "total" }), bulkhead)
          const held = yield* hold(bulkhead)
          const before = yield* now
          let started = false
          const call = policy(Effect.sync(() => {
            started = true
          }))
          const exit = yield* Effect.exit(interruptible ? call : Effect.uninterruptible(call))
          assert.strictEqual((yield* now) - before, 300)
          const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) as Timeout.TimedOut : undefined
          assert.strictEqual(error?._tag, "TimedOut")
          assert.strictEqual(error?.scope, "queue")
          assert.isFalse(started)
          const snapshot = yield* bulkhead.snapshot
          assert.deepStrictEqual([snapshot.active, snapshot.queued], [1, 0])
          yield* held.free
          yield* clean(bulkhead)
        })
    )
  }

  virtual(
    "a wait of an uninterruptible caller ends by maxWait too, and its interruption is delivered afterwards",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 5, maxWait: "50 millis" })
        const held = yield* hold(bulkhead)
        const fiber = yield* Effect.fork(Effect.uninterruptible(Effect.flip(bulkhead(Effect.void))))
        yield* settle
        yield* Fiber.interruptFork(fiber)
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.isSuccess(exit) ? exit.value.reason === "waited" : Cause.isInterrupted(exit.cause))
        yield* held.free
        yield* clean(bulkhead)
      })
  )

  virtual(
    "a place that comes free in the very moment in which the total limit rings never lets a call run unlimited",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 1 })
        const policy = Policy.compose(Timeout.make("100 millis", { scope: "total" }), bulkhead)
        yield* Effect.fork(bulkhead(Effect.never))
        yield* settle
        // Both fall due in one wake-up, the place half a millisecond earlier.
        const alarms = Alarm.of(yield* Effect.clock)
        const ring = () => Effect.runSync(bulkhead.resize({ maxConcurrent: 2 }))
        alarms.schedule({ at: 0, place: -1, ring }, alarms.now() + 99.5, alarms.now())
        let started = false
        const exit = yield* Effect.exit(policy(Effect.zipRight(
          Effect.sync(() => {
            started = true
          }),
          Effect.never
        )))
        assert.isTrue(Exit.isFailure(exit) && (Cause.squash(exit.cause) as Timeout.TimedOut).scope === "queue")
        assert.isFalse(started)
        assert.strictEqual((yield* bulkhead.snapshot).active, 1)
      })
  )

  virtual("nor lets it wait at a second bulkhead, where nothing would end the wait", () =>
    Effect.gen(function*() {
      const first = yield* Bulkhead.make({ name: "first", maxConcurrent: 1, maxQueue: 1 })
      const second = yield* Bulkhead.make({ name: "second", maxConcurrent: 1, maxQueue: 1 })
      yield* Effect.fork(first(Effect.never))
      yield* Effect.fork(second(Effect.never))
      yield* settle
      const alarms = Alarm.of(yield* Effect.clock)
      const ring = () => Effect.runSync(first.resize({ maxConcurrent: 2 }))
      alarms.schedule({ at: 0, place: -1, ring }, alarms.now() + 99.5, alarms.now())
      const before = yield* now
      const policy = Policy.compose(Timeout.make("100 millis", { scope: "total" }), first, second)
      const error = yield* Effect.flip(policy(Effect.void))
      assert.deepStrictEqual([error._tag, (yield* now) - before], ["TimedOut", 100])
      assert.deepStrictEqual([(yield* first.snapshot).active, (yield* second.snapshot).queued], [1, 0])
    }))

  virtual("more places go to the queue at once, in order", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 10 })
      const held = yield* hold(bulkhead)
      const started: Array<number> = []
      const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
      for (let index = 0; index < 5; index++) {
        fibers.push(yield* Effect.fork(bulkhead(Effect.zipRight(Effect.sync(() => started.push(index)), sleeping))))
      }
      yield* settle
      yield* bulkhead.resize({ maxConcurrent: 4 })
      yield* settle
      assert.deepStrictEqual(started, [0, 1, 2])
      assert.deepStrictEqual(yield* bulkhead.snapshot, {
        active: 4,
        queued: 2,
        maxConcurrent: 4,
        maxQueue: 10,
        rejected: 0
      })
      yield* held.free
      assert.deepStrictEqual(started, [0, 1, 2, 3])
      yield* Effect.forEach(fibers, Fiber.join)
      yield* clean(bulkhead)
    }))

  virtual(
    "fewer places stop nobody: running calls end first, those who wait stay, newcomers are refused",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 3, maxQueue: 3 })
        const held = [yield* hold(bulkhead), yield* hold(bulkhead), yield* hold(bulkhead)]
        const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.fork(bulkhead(Effect.never)))
        yield* settle
        yield* bulkhead.resize({ maxConcurrent: 1, maxQueue: 1 })
        assert.deepStrictEqual(yield* bulkhead.snapshot, {
          active: 3,
          queued: 3,
          maxConcurrent: 1,
          maxQueue: 1,
          rejected: 0
        })
        assert.strictEqual((yield* Effect.flip(bulkhead(Effect.void))).reason, "full")
        const seen: Array<ReadonlyArray<number>> = []
        for (const one of held) {
          yield* one.free
          const { active, queued } = yield* bulkhead.snapshot
          seen.push([active, queued])
        }
        assert.deepStrictEqual(seen, [[2, 3], [1, 3], [1, 2]])
        yield* Effect.forEach(waiting, Fiber.interrupt)
        yield* clean(bulkhead)
      })
  )

  virtual("maxQueue can be raised from 0 and lowered to 0 while calls run", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1 })
      const held = yield* hold(bulkhead)
      assert.strictEqual((yield* Effect.flip(bulkhead(Effect.void))).reason, "full")
      yield* bulkhead.resize({ maxConcurrent: 1, maxQueue: 1 })
      const waiting = yield* Effect.fork(bulkhead(Effect.succeed("served")))
      yield* settle
      yield* bulkhead.resize({ maxConcurrent: 1, maxQueue: 0 })
      assert.strictEqual((yield* Effect.flip(bulkhead(Effect.void))).reason, "full")
      yield* held.free
      assert.strictEqual(yield* Fiber.join(waiting), "served")
      yield* clean(bulkhead)
    }))

  virtual(
    "B03: a permit goes to the next live waiter, never to one that gave up or was interrupted",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 5, maxWait: "100 millis" })
        const held = yield* hold(bulkhead)
        const gaveUp = yield* Effect.fork(Effect.flip(bulkhead(Effect.void)))
        yield* Effect.sleep("90 millis")
        const interrupted = yield* Effect.fork(bulkhead(Effect.void))
        yield* settle
        const live = yield* Effect.fork(bulkhead(Effect.succeed("live")))
        yield* Effect.sleep("15 millis")
        assert.strictEqual((yield* Fiber.join(gaveUp)).reason, "waited")
        yield* Fiber.interrupt(interrupted)
        yield* held.free
        assert.strictEqual(yield* Fiber.join(live), "live")
        yield* clean(bulkhead)
      })
  )

  virtual(
    "B04: queued calls that are aborted leave the queue at once and use up none of its places",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 2 })
        const held = yield* hold(bulkhead)
        for (let round = 0; round < 100; round++) {
          const waiting = yield* Effect.forEach([1, 2], () => Effect.fork(bulkhead(Effect.void)))
          yield* Effect.yieldNow()
          yield* Fiber.interruptAll(waiting)
          assert.strictEqual((yield* bulkhead.snapshot).queued, 0)
        }
        assert.strictEqual((yield* bulkhead.snapshot).rejected, 0)
        yield* held.free
        yield* clean(bulkhead)
      })
  )

  virtual(
    "B05: three calls on one place and a long queue all run, one after another, each once",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 100 })
        const log: Array<string> = []
        const call = (name: string) =>
          bulkhead(Effect.gen(function*() {
            log.push(`${name} begins`)
            yield* sleeping
            log.push(`${name} ends`)
          }))
        yield* Effect.all(["a", "b", "c"].map(call), { concurrency: "unbounded" })
        assert.deepStrictEqual(log, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"])
        assert.strictEqual(yield* now, 300)
        yield* clean(bulkhead)
      })
  )

  virtual("B06: a listener that throws at the end of a call gives no permit back twice", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 2 })
      const throwing = ResilienceEvent.listen(() => {
        throw new Error("listener")
      })
      const held = yield* hold(bulkhead)
      for (let round = 0; round < 5; round++) {
        yield* throwing(bulkhead(Effect.void))
        assert.strictEqual((yield* bulkhead.snapshot).active, 1)
      }
      yield* throwing(Effect.exit(bulkhead(Effect.die("finalizer"))))
      assert.strictEqual((yield* bulkhead.snapshot).active, 1)
      yield* held.free
      yield* clean(bulkhead)
      assert.strictEqual(lines.length, 6)
      for (const line of lines) assert.match(line, /^ERROR A listener threw.* dependency=b .*cause: Error: listener$/)
    }).pipe(loggedInto(lines))
  })

  virtual(
    "B07: a waiter interrupted between the hand-over and its start never starts, and the next one runs",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 5 })
        const gate = yield* Deferred.make<void>()
        let started = 0
        const held: { victim?: Fiber.RuntimeFiber<unknown, unknown> } = {}
        yield* Effect.fork(bulkhead(Effect.zipRight(
          Deferred.await(gate),
          // Interrupted in the same step in which the permit is handed over.
          Effect.sync(() => queueMicrotask(() => held.victim?.unsafeInterruptAsFork(held.victim.id())))
        )))
        yield* settle
        held.victim = yield* Effect.fork(bulkhead(Effect.sync(() => started++)))
        yield* settle
        const next = yield* Effect.fork(bulkhead(Effect.succeed("next")))
        yield* settle
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual(yield* Fiber.join(next), "next")
        assert.strictEqual(started, 0)
        yield* clean(bulkhead)
      })
  )

  virtual("B08: an abandoned stream gives its permit back", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1 })
      const ticks = Stream.repeatEffect(Effect.as(sleeping, "tick"))
      // The permit covers the whole run of the stream, and ends with it.
      assert.strictEqual(yield* bulkhead(Stream.runCount(Stream.take(ticks, 3))), 3)
      yield* clean(bulkhead)
      // The permit covers one element, pulled by a consumer that stops after the first.
      yield* Stream.runDrain(Stream.take(Stream.repeatEffect(bulkhead(sleeping)), 1))
      yield* clean(bulkhead)
      // The run is abandoned by its consumer while an element is on its way.
      const runs = Stream.mergeAll([
        Stream.drain(Stream.fromEffect(bulkhead(Stream.runDrain(ticks)))),
        Stream.fromEffect(Effect.as(Effect.sleep("250 millis"), "enough"))
      ], { concurrency: 2 })
      assert.strictEqual(yield* Stream.runCount(Stream.take(runs, 1)), 1)
      yield* clean(bulkhead)
      const failing = Stream.concat(Stream.take(ticks, 1), Stream.fail("broken"))
      assert.strictEqual(yield* Effect.flip(bulkhead(Stream.runDrain(failing))), "broken")
      yield* clean(bulkhead)
    }))

  virtual(
    "B10: the largest limits that are allowed work, larger ones are refused when it is made",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1_000_000, maxQueue: 1_000_000 })
        assert.strictEqual(yield* bulkhead(Effect.succeed(1)), 1)
        assert.deepStrictEqual(yield* bulkhead.snapshot, {
          active: 0,
          queued: 0,
          maxConcurrent: 1_000_000,
          maxQueue: 1_000_000,
          rejected: 0
        })
        for (const maxConcurrent of [2 ** 31, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE, Infinity]) {
          const exit = yield* Effect.exit(Bulkhead.make({ name: "b", maxConcurrent }))
          assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
        }
      })
  )

  virtual(
    "B11: a waiter that, when resumed, interrupts the others does not keep the rest from being served",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 100 })
        const held = yield* hold(bulkhead)
        const ran: Array<number> = []
        const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
        for (let index = 0; index < 20; index++) {
          const kill = Effect.sync(() => {
            ran.push(index)
            const other = fibers[index + 1]
            if (index % 2 === 0 && other !== undefined) other.unsafeInterruptAsFork(other.id())
          })
          fibers.push(yield* Effect.fork(bulkhead(Effect.zipRight(kill, Effect.yieldNow()))))
          yield* Effect.yieldNow()
        }
        yield* settle
        yield* bulkhead.resize({ maxConcurrent: 3 })
        yield* held.free
        yield* Effect.forEach(fibers, Fiber.await)
        for (let index = 0; index < 20; index += 2) assert.include(ran, index)
        yield* clean(bulkhead)
      })
  )

  virtual(
    "H08: the same bulkhead twice in one policy takes two permits for one call, and gives both back",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 2 })
        const twice = Policy.compose(bulkhead, bulkhead)
        const held = yield* hold(twice)
        assert.strictEqual((yield* bulkhead.snapshot).active, 2)
        yield* held.free
        yield* clean(bulkhead)
        // With one place left, the second layer refuses and the first gives its permit back.
        const one = yield* hold(bulkhead)
        assert.strictEqual((yield* Effect.flip(twice(Effect.void))).reason, "full")
        assert.strictEqual((yield* bulkhead.snapshot).active, 1)
        yield* one.free
        yield* clean(bulkhead)
      })
  )

  virtual(
    "10,000 callers: at most maxConcurrent in flight at any time, everyone served or refused, all permits back",
    () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 10, maxQueue: 9_000, maxWait: "30 seconds" })
        let inFlight = 0
        let most = 0
        let served = 0
        const call = bulkhead(Effect.acquireUseRelease(
          Effect.sync(() => {
            most = Math.max(most, ++inFlight)
          }),
          () => Effect.flatMap(Random.nextIntBetween(1, 60), (millis) => Effect.sleep(millis)),
          () =>
            Effect.sync(() => {
              inFlight--
              served++
            })
        ))
        const counts = { success: 0, full: 0, waited: 0, deadline: 0, interrupted: 0 }
        yield* Effect.forEach(Array.from({ length: 10_000 }, (_, index) => index), (index) =>
          Effect.gen(function*() {
            const one = index % 7 === 0 ? Effect.interruptible(Effect.timeoutOption(call, 1 + (index % 20_000))) : call
            const exit = yield* Effect.exit(one)
            if (Exit.isSuccess(exit)) counts.success++
            else {
              const error = Cause.squash(exit.cause)
              if (error instanceof Bulkhead.BulkheadFull) counts[error.reason]++
              else counts.interrupted++
            }
          }), { concurrency: "unbounded", discard: true }).pipe(Effect.withRandom(Random.make("bulkhead")))
        assert.strictEqual(most, 10)
        assert.strictEqual(inFlight, 0)
        assert.strictEqual(Object.values(counts).reduce((sum, count) => sum + count), 10_000)
        assert.strictEqual(counts.full, 990)
        assert.isAbove(served, 5_000)
        assert.strictEqual((yield* bulkhead.snapshot).rejected, counts.full + counts.waited + counts.deadline)
        yield* clean(bulkhead)
      })
  )

  virtual("tells listeners who waits and who is refused, with the load at that instant", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({
        name: "payments.bulkhead",
        dependency: "payments",
        maxConcurrent: 1,
        maxQueue: 1,
        maxWait: "50 millis"
      })
      const held = yield* hold(bulkhead)
      const events: Array<ResilienceEvent.ResilienceEvent> = []
      const from = yield* now
      const observed = ResilienceEvent.listen((event) => events.push(event))
      const waiting = yield* Effect.fork(observed(Effect.exit(bulkhead(Effect.void))))
      yield* settle
      yield* observed(Effect.exit(bulkhead(Effect.void)))
      yield* Fiber.join(waiting)
      const told = events.flatMap((event) =>
        event._tag === "BulkheadQueued"
          ? [[event._tag, event.at - from, event.bulkhead, event.active, event.queued]]
          : event._tag === "BulkheadRejected"
          ? [[
            event._tag,
            event.at - from,
            event.reason,
            event.active,
            event.queued,
            event.maxConcurrent,
            event.rejected
          ]]
          : []
      )
      assert.deepStrictEqual(told, [
        ["BulkheadQueued", 0, "payments.bulkhead", 1, 1],
        ["BulkheadRejected", 1, "full", 1, 1, 1, 1],
        ["BulkheadRejected", 50, "waited", 1, 0, 1, 2]
      ])
      assert.isTrue(events.every((event) => event._tag !== "CallEnded" || event.attempts === 0))
      yield* held.free
    }))

  virtual("describes itself with its numbers, and is a policy", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({
        name: "b",
        dependency: "payments",
        maxConcurrent: 3,
        maxQueue: 4,
        maxWait: "1 second"
      })
      assert.isTrue(Policy.isPolicy(bulkhead))
      assert.deepStrictEqual(bulkhead.steps, [{
        kind: "Bulkhead",
        policy: "b",
        dependency: "payments",
        settings: { maxConcurrent: 3, maxQueue: 4, maxWaitMillis: 1000 }
      }])
    }))
})
