import { assert, describe, it } from "@effect/vitest"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as ScriptedDependency from "@holdfast/testkit/ScriptedDependency"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"

const make = ScriptedDependency.make<string, number, "busy">

describe("ScriptedDependency", () => {
  it.effect("hands calls to the test in order, whoever comes first", () =>
    Effect.gen(function*() {
      const dependency = yield* make()
      const expecting = yield* Effect.fork(dependency.expect)
      yield* Effect.yieldNow()
      const fibers = yield* Effect.forEach(["a", "b", "c"], (request) => Effect.fork(dependency.call(request)))
      const first = yield* Fiber.join(expecting)
      const second = yield* dependency.expect
      const third = yield* dependency.expect
      assert.deepStrictEqual([first, second, third].map((call) => [call.number, call.request]), [
        [1, "a"],
        [2, "b"],
        [3, "c"]
      ])
      assert.strictEqual(dependency.inFlight(), 3)
      yield* second.fail("busy")
      yield* third.die("bug")
      yield* first.succeed(1)
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(exits, [Exit.succeed(1), Exit.fail("busy" as const), Exit.die("bug")])
      assert.deepStrictEqual([dependency.calls(), dependency.inFlight(), dependency.mostInFlight()], [3, 0, 3])
    }))

  it.effect("tells that the caller interrupted a call that hangs", () =>
    Effect.gen(function*() {
      const dependency = yield* make()
      const fiber = yield* Effect.fork(Effect.timeoutOption(dependency.call("slow"), "1 second"))
      const call = yield* dependency.expect
      yield* call.hang
      const watching = yield* Effect.fork(call.interrupted)
      yield* Effect.yieldNow()
      assert.isNull(watching.unsafePoll())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(watching)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "None")
      assert.strictEqual(dependency.inFlight(), 0)
    }))

  it.effect("a call that succeeds late cannot be stopped and holds its caller until then", () =>
    VirtualClock.run(Effect.gen(function*() {
      const dependency = yield* make()
      let value = 0
      const fiber = yield* Effect.fork(
        Effect.uninterruptibleMask((restore) =>
          Effect.tap(restore(dependency.call("commit")), (answer) => Effect.sync(() => (value = answer)))
        )
      )
      const call = yield* dependency.expect
      yield* call.succeedLate(7, "3 seconds")
      yield* Effect.sleep("1 second")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* Clock.currentTimeMillis, 4000)
      assert.strictEqual(dependency.inFlight(), 0)
      // The region around the call is interruptible, so the value is lost to it: that is what `late` means.
      assert.strictEqual(value, 0)
    })))

  it.effect("answers from a script in order, and says clearly when the script has run out", () =>
    VirtualClock.run(Effect.gen(function*() {
      const dependency = yield* make()
      yield* dependency.script([
        Effect.fail("busy"),
        Effect.delay(Effect.succeed(2), "1 hour"),
        Effect.die("bug")
      ])
      assert.deepStrictEqual(yield* Effect.exit(dependency.call("a")), Exit.fail("busy" as const))
      assert.strictEqual(yield* dependency.call("b"), 2)
      assert.strictEqual(yield* Clock.currentTimeMillis, 3_600_000)
      assert.deepStrictEqual(yield* Effect.exit(dependency.call("c")), Exit.die("bug"))
      const exit = yield* Effect.exit(dependency.call("d"))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, ScriptedDependency.ScriptExhausted)
      assert.include(String(defect), "the script had 3 answers, and call 4 found none left; its request: d")
      yield* dependency.script([Effect.succeed(5)])
      assert.strictEqual(yield* dependency.call("e"), 5)
    })))

  it.live("works by the live clock", () =>
    Effect.gen(function*() {
      const dependency = yield* make()
      yield* dependency.script([Effect.succeed(1), Effect.never])
      assert.strictEqual(yield* dependency.call("a"), 1)
      assert.strictEqual((yield* Effect.timeoutOption(dependency.call("b"), 0))._tag, "None")
      assert.strictEqual(dependency.inFlight(), 0)
    }))

  it.effect("refuses a second answer, and loses the answer to a caller that has left", () =>
    Effect.gen(function*() {
      const dependency = yield* make()
      const fiber = yield* Effect.fork(dependency.call("a"))
      const call = yield* dependency.expect
      yield* Fiber.interrupt(fiber)
      yield* call.succeed(1)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
      assert.include(String(Cause.squash(yield* Effect.sandbox(call.succeed(2)).pipe(Effect.flip))), "answered already")
    }))

  it.effect("someone who stops expecting takes no call away", () =>
    Effect.gen(function*() {
      const dependency = yield* make()
      const expecting = yield* Effect.fork(dependency.expect)
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(expecting)
      yield* Effect.fork(dependency.call("a"))
      assert.strictEqual((yield* dependency.expect).request, "a")
    }))

  it.effect("counts right wherever the caller is interrupted", () =>
    Effect.gen(function*() {
      const report = yield* OperationSweep.run({
        make: () => Effect.tap(make(), ({ script }) => script([Effect.delay(Effect.succeed(1), "1 second")])),
        body: (dependency) => dependency.call("a"),
        check: (dependency) => dependency.inFlight() === 0 ? [] : [`${dependency.inFlight()} in flight`]
      })
      OperationSweep.assertClean(report)
    }))

  it.effect("a call that fails late holds its caller too", () =>
    VirtualClock.run(Effect.gen(function*() {
      const dependency = yield* make()
      const fiber = yield* Effect.fork(Effect.timeoutOption(dependency.call("commit"), "1 second"))
      const call = yield* dependency.expect
      yield* call.failLate("busy", "3 seconds")
      yield* Fiber.await(fiber)
      assert.strictEqual(yield* Clock.currentTimeMillis, 4000)
      yield* dependency.finished
    })))

  it.effect("says at the end what was not expected, not answered or not asked for", () =>
    Effect.gen(function*() {
      const dependency = yield* make()
      yield* dependency.finished
      const left = Effect.map(Effect.flip(Effect.sandbox(dependency.finished)), (cause) => String(Cause.squash(cause)))
      const fibers = yield* Effect.forEach(["a", "b"], (request) => Effect.fork(dependency.call(request)))
      yield* Effect.yieldNow()
      assert.strictEqual(yield* left, "ScriptUnfinished: 2 calls were not expected; 2 calls are in flight")
      const first = yield* dependency.expect
      yield* first.succeed(1)
      yield* Fiber.await(fibers[0]!)
      yield* dependency.expect
      assert.strictEqual(yield* left, "ScriptUnfinished: 1 call is in flight")
      yield* Fiber.interruptAll(fibers)
      yield* dependency.finished
      yield* dependency.script([Effect.succeed(3), Effect.succeed(4), Effect.succeed(5)])
      yield* dependency.call("c")
      assert.strictEqual(yield* left, "ScriptUnfinished: 2 answers of the script were not asked for")
      assert.deepStrictEqual(dependency.requests(), ["a", "b", "c"])
    }))

  it.effect("catches a retry that gives up one attempt too early and a timeout that does not interrupt", () =>
    Effect.gen(function*() {
      const dependency = yield* make()
      yield* dependency.script([Effect.fail("busy"), Effect.fail("busy"), Effect.succeed(3)])
      const offByOne = <A, E>(effect: Effect.Effect<A, E>, attempts: number) =>
        Effect.retry(effect, { times: attempts - 2 })
      assert.deepStrictEqual(yield* Effect.exit(offByOne(dependency.call("a"), 3)), Exit.fail("busy" as const))
      assert.strictEqual(dependency.calls(), 2)

      const hanging = yield* make()
      const abandons = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.flatMap(Effect.forkDaemon(effect), (fiber) => Effect.timeoutOption(Fiber.join(fiber), "1 second"))
      yield* VirtualClock.run(abandons(hanging.call("b")))
      assert.strictEqual(hanging.inFlight(), 1)
    }))
})
