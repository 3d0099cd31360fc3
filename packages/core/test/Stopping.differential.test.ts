/**
 * Generated programs run under a time limit in both ways of stopping, which must leave equal traces.
 *
 * The allowed differences are a closed list, and exactly these are made equal before the traces are compared: what an effect that
 * failed or timed out did to FiberRefs (not traced then), children of an effect that succeeded (they are awaited by the
 * program itself), and the id of the fiber (not traced).
 */
import { assert, describe, it } from "@effect/vitest"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as fc from "fast-check"
import * as stopping from "../src/internal/stopping.js"
import { constructs, countConstructs, program, run, type Trace } from "./support/programs.js"

const programs = 800

const inWay = (child: boolean, effect: Effect.Effect<Trace>): Promise<Trace> => {
  stopping.forceChildFiber(child)
  return Effect.runPromise(effect).finally(() => stopping.forceChildFiber(false))
}

/** `TestClock` moves when it is told to: in steps of one millisecond, so that no two sleeps are skipped over at once. */
const underTestClock = (effect: Effect.Effect<Trace>): Effect.Effect<Trace> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    for (let step = 0; step < 400 && fiber.unsafePoll() === null; step++) {
      yield* TestClock.adjust("1 millis")
    }
    return yield* Fiber.join(fiber)
  }).pipe(Effect.provide(TestContext.TestContext))

describe.sequential("both ways of stopping an effect", () => {
  it("generated programs leave equal traces in the caller's own fiber and in a child fiber", async () => {
    const seen = new Map<string, number>()
    const ends = new Map<string, number>()
    await fc.assert(
      fc.asyncProperty(program, async (one) => {
        countConstructs(one, seen)
        const shared = await inWay(false, VirtualClock.run(run(one)))
        const child = await inWay(true, VirtualClock.run(run(one)))
        ends.set(shared.end, (ends.get(shared.end) ?? 0) + 1)
        assert.strictEqual(JSON.stringify(shared, null, 1), JSON.stringify(child, null, 1))
      }),
      { numRuns: programs, seed: 20_251 }
    )
    for (const construct of constructs) {
      assert.isAtLeast(seen.get(construct) ?? 0, 40, `${construct} occurred`)
    }
    for (const end of ["value", "timed out", "interrupted"]) {
      assert.isAtLeast(
        Array.from(ends).filter(([name]) => name.includes(end)).reduce((sum, [, count]) => sum + count, 0),
        20,
        `programs that ended as ${end}: ${JSON.stringify(Array.from(ends))}`
      )
    }
  }, 120_000)

  it("the ways agree under the test clock too", async () => {
    await fc.assert(
      fc.asyncProperty(program, async (one) => {
        const shared = await inWay(false, underTestClock(run(one)))
        const child = await inWay(true, underTestClock(run(one)))
        assert.strictEqual(JSON.stringify(shared, null, 1), JSON.stringify(child, null, 1))
      }),
      { numRuns: 10, seed: 7 }
    )
  }, 120_000)
})
