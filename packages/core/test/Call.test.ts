import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import type * as Call from "@holdfast/core/Call"
import * as Failure from "@holdfast/core/Failure"
import * as Outcome from "@holdfast/core/Outcome"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

class Busy extends Failure.Retryable("Busy")<{}> {}

/** A value that says of itself that it is a failure, as an HTTP 503 does. */
const byStatus: Failure.Classify = (exit) =>
  Exit.isSuccess(exit)
    ? Outcome.make(Outcome.ofStatus((exit.value as { status: number }).status))
    : Failure.classify(exit)

describe("facts about one call", () => {
  it.effect("policy.run hands every attempt the call in progress", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("run", { retry: { maxRetries: 2, schedule: Backoff.none } })
      const seen: Array<Call.Call> = []
      yield* Effect.exit(
        policy.run((call) => {
          seen.push(call)
          return Effect.fail(new Busy())
        }, { operation: "GET /orders/:id", requestId: "r-1", key: "k", criticality: "critical" })
      )
      assert.deepStrictEqual(seen.map((call) => call.attempt), [1, 2, 3])
      assert.deepStrictEqual(seen[2], {
        dependency: "run",
        operation: "GET /orders/:id",
        requestId: "r-1",
        attempt: 3,
        maxAttempts: 3,
        repeatable: true,
        key: "k",
        criticality: "critical",
        deadline: 10_000
      })
    }))

  it.effect("under a keyed policy the attempts are those of the policy of the key", () =>
    Effect.gen(function*() {
      const keyed = yield* Policy.keyed({
        name: "hosts",
        make: (key) => Policy.standard(key, { retry: { maxRetries: 1, schedule: Backoff.none } }),
        capacity: 10
      })
      const seen: Array<string> = []
      yield* Effect.exit(
        keyed.run((call) => {
          seen.push(`${call.attempt} of ${call.maxAttempts}`)
          return Effect.fail(new Busy())
        }, { key: "example.org" })
      )
      assert.deepStrictEqual(seen, ["1 of 2", "2 of 2"])
    }))

  it.effect("identity runs the function too", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Policy.identity.run((call) => Effect.succeed(call.attempt)), 1)
    }))

  it.effect("a value that is retried is discarded first, the last value comes back as it is", () =>
    Effect.gen(function*() {
      const discarded: Array<unknown> = []
      const statuses = [503, 502, 503]
      let sent = 0
      const answer = yield* Effect.sync(() => ({ status: statuses[sent]!, number: sent++ })).pipe(
        Retry.make({ maxRetries: 2, schedule: Backoff.none }).with({
          classify: byStatus,
          discard: (response: { number: number }) => Effect.sync(() => discarded.push(response.number))
        })
      )
      assert.deepStrictEqual(answer, { status: 503, number: 2 })
      assert.deepStrictEqual(discarded, [0, 1])
    }))

  it.effect("a call that must not be repeated is tried again only when nothing was sent", () =>
    Effect.gen(function*() {
      const policy = Retry.make({ maxRetries: 2, schedule: Backoff.none })
      const attempts = (error: unknown) => {
        let sent = 0
        const call = Effect.suspend(() => {
          sent++
          return Effect.fail(error)
        })
        return Effect.as(Effect.exit(call.pipe(policy.with({ repeatable: false }))), () => sent).pipe(
          Effect.map((count) => count())
        )
      }
      assert.strictEqual(yield* attempts(new Busy()), 1)
      assert.strictEqual(yield* attempts(Object.assign(new Error("reset"), { code: "ECONNRESET" })), 1)
      assert.strictEqual(yield* attempts(Object.assign(new Error("refused"), { code: "ECONNREFUSED" })), 3)
    }))

  it.effect("H07: a call that is cancelled, refused or answered is one end to listeners; what never began is none", () => {
    const ends: Array<string> = []
    return Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "pages", maxConcurrent: 1 })
      const policy = Policy.compose(Timeout.make("1 second"), bulkhead)
      let sent = 0
      const call = policy(Effect.sync(() => sent++))
      const said = (effect: Effect.Effect<unknown, unknown>) =>
        Effect.map(Effect.exit(effect), () => ends.splice(0, ends.length))

      const waiting = yield* Effect.fork(policy(Effect.never))
      yield* Effect.yieldNow()
      assert.deepStrictEqual(yield* said(Fiber.interrupt(waiting)), ["Interrupted"])

      // Its caller was interrupted before: no step of the policy runs, and nothing is taken.
      const gone = Effect.uninterruptibleMask((restore) =>
        Effect.zipRight(
          Effect.withFiberRuntime((fiber) => {
            fiber.unsafeInterruptAsFork(fiber.id())
            return Effect.yieldNow()
          }),
          Effect.exit(restore(call))
        )
      )
      assert.deepStrictEqual(yield* said(Effect.flatMap(Effect.fork(gone), Fiber.join)), [])
      assert.deepStrictEqual([sent, (yield* bulkhead.snapshot).active], [0, 0])

      const holder = yield* Effect.fork(bulkhead(Effect.never))
      yield* Effect.yieldNow()
      assert.deepStrictEqual(yield* said(call), ["Rejected"])
      yield* Fiber.interrupt(holder)
      ends.length = 0

      assert.deepStrictEqual(yield* said(policy(Effect.void)), ["Success"])
      // The policy that does nothing is the effect itself: there is nothing to tell of it.
      assert.deepStrictEqual(yield* said(Policy.identity(Effect.void)), [])
    }).pipe(ResilienceEvent.listen((event) => {
      if (event._tag === "CallEnded") ends.push(event.outcome.class)
    }))
  })
})
