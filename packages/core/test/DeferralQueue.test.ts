import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Failure from "@holdfast/core/Failure"
import * as Fallback from "@holdfast/core/Fallback"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import { loggedInto } from "./support/logged.js"
import { Busy, Declined } from "./support/virtual.js"

const bug = (): never => {
  throw new Error("user's bug")
}

const everySecond = Backoff.constant("1 second", { jitter: "none" })

/** Runs in virtual time; answers with the faults that were told and the errors that were logged. */
const faultsOf = (body: Effect.Effect<unknown, unknown, Scope.Scope>) => {
  const faults: Array<string> = []
  const lines: Array<string> = []
  return Effect.runPromise(
    VirtualClock.run(
      Effect.scoped(body).pipe(
        ResilienceEvent.listen((event) => event._tag === "PolicyFault" ? void faults.push(event.part) : undefined),
        loggedInto(lines)
      )
    )
  ).then(() => ({ faults, logged: lines.filter((line) => line.startsWith("ERROR")).length }))
}

/** Jobs are "busy" once, "declined" for good, or fine. */
const settling = () => {
  const tried: Array<string> = []
  const settle = (job: string): Effect.Effect<void, Busy | Declined> =>
    Effect.suspend((): Effect.Effect<void, Busy | Declined> => {
      tried.push(job)
      return job === "busy" && tried.filter((one) => one === job).length === 1
        ? Effect.fail(new Busy({}))
        : job === "declined"
        ? Effect.fail(new Declined())
        : Effect.void
    })
  return { settle, tried }
}

const jobs = ["busy", "declined", "fine"]

describe("a piece of the user's that throws in a worker of a deferral queue", () => {
  const classifiers: Readonly<Record<string, Failure.Classify>> = {
    "a classifier that throws": bug,
    "a classifier that answers with no outcome": () => undefined as never
  }
  for (const [what, classify] of Object.entries(classifiers)) {
    it(`${what} is told and logged for each try, and each job has one end`, async () => {
      const { settle, tried } = settling()
      const { faults, logged } = await faultsOf(Effect.gen(function*() {
        const queue = yield* Fallback.DeferralQueue.make({ capacity: 3, schedule: everySecond, settle, classify })
        yield* Effect.forEach(jobs, queue.offer)
        yield* Effect.sleep("1 minute")
        assert.deepStrictEqual([yield* queue.pending, yield* queue.settled], [0, 3])
        assert.strictEqual((yield* queue.offer("later"))._tag, "Pending")
        yield* Effect.sleep("1 minute")
        assert.deepStrictEqual([yield* queue.pending, yield* queue.settled], [0, 4])
      }))
      // What succeeded is not done again, and an error that says of itself that it is permanent is an end.
      assert.deepStrictEqual(tried, ["busy", "declined", "fine", "busy", "later"])
      assert.deepStrictEqual(faults, tried.map(() => "deferred.classify"))
      assert.strictEqual(logged, tried.length)
    })
  }

  it("an unknown failure that a classifier throws at is tried again until maxRetries ends it", async () => {
    let tries = 0
    await faultsOf(Effect.gen(function*() {
      const queue = yield* Fallback.DeferralQueue.make({
        capacity: 1,
        schedule: everySecond,
        maxRetries: 2,
        settle: (_: string) => Effect.suspend(() => (tries++, Effect.fail("unknown"))),
        classify: bug
      })
      yield* queue.offer("job")
      yield* Effect.sleep("1 minute")
      assert.deepStrictEqual([yield* queue.pending, yield* queue.settled, tries], [0, 1, 3])
    }))
  })

  const delays: Readonly<Record<string, () => number>> = {
    "throws": bug,
    "is not a number": () => "1 second" as never,
    "is NaN": () => NaN,
    "is negative": () => -1,
    "has no end": () => Infinity
  }
  for (const [what, delay] of Object.entries(delays)) {
    it(`a delay that ${what} is told and logged, and the default one counts`, async () => {
      const { settle, tried } = settling()
      const { faults, logged } = await faultsOf(Effect.gen(function*() {
        const queue = yield* Fallback.DeferralQueue.make({ capacity: 3, schedule: { delay }, settle })
        yield* Effect.forEach(jobs, queue.offer)
        assert.strictEqual((yield* queue.unsettled).length, 3)
        yield* Effect.sleep("1 millis")
        assert.deepStrictEqual((yield* queue.unsettled).map(({ job }) => job), ["busy"])
        yield* Effect.sleep("1 minute")
        assert.deepStrictEqual([yield* queue.pending, yield* queue.settled], [0, 3])
      }))
      assert.deepStrictEqual(tried, ["busy", "declined", "fine", "busy"])
      assert.deepStrictEqual([faults, logged], [["deferred.schedule"], 1])
    })
  }

  it("a delay is asked of the schedule it belongs to", async () => {
    class Steady {
      readonly millis = 1000
      delay() {
        return this.millis
      }
    }
    const { settle } = settling()
    const { faults } = await faultsOf(Effect.gen(function*() {
      const queue = yield* Fallback.DeferralQueue.make({ capacity: 1, schedule: new Steady(), settle })
      yield* queue.offer("busy")
      yield* Effect.sleep("2 seconds")
      assert.strictEqual(yield* queue.settled, 1)
    }))
    assert.deepStrictEqual(faults, [])
  })

  it("a settle or a logger that throws stops no worker", () => {
    const { settle, tried } = settling()
    let died = false
    return Effect.runPromise(VirtualClock.run(
      Effect.scoped(Effect.gen(function*() {
        const queue = yield* Fallback.DeferralQueue.make({
          capacity: 4,
          drainFor: 0,
          schedule: everySecond,
          classify: (exit) => tried.length === 1 ? bug() : Failure.classify(exit),
          settle: (job: string) => job !== "dies" || died ? settle(job) : (died = true, bug())
        })
        yield* Effect.forEach(["dies", ...jobs], queue.offer)
        yield* Effect.sleep("1 minute")
        assert.deepStrictEqual([yield* queue.pending, yield* queue.settled], [0, 4])
      })).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, Logger.make(bug))))
    ))
  })
})

describe("an offer to a deferral queue", () => {
  const ids: ReadonlyArray<readonly [string, (job: { readonly ref?: unknown }) => any]> = [
    ["is empty", () => ""],
    ["is missing", ({ ref }) => ref],
    ["is null", () => null],
    ["is a number", () => 7],
    ["is an object", (job) => job],
    ["throws", bug]
  ]
  for (const [what, id] of ids) {
    it(`whose id ${what} is refused as a defect, and nothing is taken`, () =>
      faultsOf(Effect.gen(function*() {
        const queue = yield* Fallback.DeferralQueue.make({
          name: "orders",
          capacity: 3,
          id: (job: { readonly ref?: unknown }) => job.ref === "o-1" ? "o-1" : id(job),
          settle: () => Effect.never,
          drainFor: 0
        })
        const exits = [yield* Effect.exit(queue.offer({})), yield* Effect.exit(queue.offer({}))]
        for (const exit of exits) {
          assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
          assert.match(
            Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "accepted",
            what === "throws" ? /user's bug/ : /orders\.id is .+, allowed is a text that is not empty/
          )
        }
        assert.deepStrictEqual([yield* queue.pending, yield* queue.unsettled], [0, []])
        assert.strictEqual((yield* queue.offer({ ref: "o-1" })).id, "o-1")
      })))
  }

  it("whose message throws is refused as a defect, and the same job can be offered again", () => {
    let known = false
    return faultsOf(Effect.gen(function*() {
      const queue = yield* Fallback.DeferralQueue.make({
        capacity: 1,
        id: (job: string) => job,
        message: () => known ? "Payment pending" : bug(),
        settle: () => Effect.void
      })
      const exit = yield* Effect.exit(queue.offer("o-1"))
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      assert.strictEqual(yield* queue.pending, 0)
      known = true
      assert.strictEqual((yield* queue.offer("o-1")).message, "Payment pending")
      assert.strictEqual(yield* queue.pending, 1)
    }))
  })

  it("without an id that tells the jobs apart fails the tier, so that the next one answers", () =>
    faultsOf(Effect.gen(function*() {
      const queue = yield* Fallback.DeferralQueue.make({
        capacity: 3,
        id: (_: number) => "",
        settle: () => Effect.void
      })
      const fallback = Fallback.tiers(Fallback.defer(queue), Fallback.disabled("try again later"))
      assert.strictEqual(yield* Effect.fail("down").pipe(fallback.with(1)), "try again later")
      assert.strictEqual(yield* queue.pending, 0)
    })))
})

describe("a fallback", () => {
  it("takes a classifier that answers with no outcome for one that throws", async () => {
    const fallback = Fallback.make({ classify: () => undefined as never, tiers: [Fallback.value("default")] })
    const { faults, logged } = await faultsOf(Effect.gen(function*() {
      assert.strictEqual(yield* Effect.fail(new Busy({})).pipe(fallback), "default")
    }))
    assert.deepStrictEqual([faults.length, logged], [1, 1])
  })
})
