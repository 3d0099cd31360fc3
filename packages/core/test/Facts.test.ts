import { assert, describe, it } from "@effect/vitest"
import * as Dependency from "@holdfast/core/Dependency"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Effect from "effect/Effect"

const throwing = (field: string) =>
  Object.defineProperty({}, field, {
    enumerable: true,
    get() {
      throw new Error("not to be read")
    }
  })

const wrong: ReadonlyArray<readonly [facts: unknown, told: RegExp]> = [
  [undefined, /facts is undefined, allowed is a record/],
  [null, /facts is null, allowed is a record/],
  ["charge", /facts is "charge", allowed is a record/],
  ...["operation", "requestId", "repeatable", "key", "criticality", "cost", "classify", "discard"].map((field) =>
    [throwing(field), /facts is .*allowed is a record whose fields can be read/] as const
  ),
  [{ repeatable: "false" }, /facts\.repeatable is "false", allowed is true or false/],
  [{ key: 7, operation: {} }, /facts\.operation is \{\}, allowed is a text; facts\.key is 7, allowed is a text/],
  [{ criticality: "high" }, /facts\.criticality is "high", allowed is one of "critical", "important", "optional"/],
  [{ classify: "Retryable" }, /facts\.classify is "Retryable", allowed is a function/]
]

class Charges extends Dependency.Service<Charges>()("facts.charges", { bulkhead: { maxConcurrent: 2 } }) {}

describe("facts of a call that are none", () => {
  it.effect("are refused where they enter a policy, and no permit is taken for the call", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("facts", {
        bulkhead: { maxConcurrent: 2 },
        rateLimiter: { rate: 1_000, scope: "call" }
      })
      for (const [facts, told] of wrong) {
        // One listener, so that every end of a call is described.
        const call = Effect.suspend(() => policy.with(facts as never)(Effect.succeed(1))).pipe(
          ResilienceEvent.listen(() => {})
        )
        const defect = yield* Effect.flip(Effect.sandbox(Effect.catchAllDefect(call, (one) => Effect.fail(one))))
        const found = (defect as { readonly error?: unknown }).error
        assert.instanceOf(found, InvalidOptions, String(defect))
        assert.match(found.message, told)
        if (facts !== undefined) {
          assert.throws(() => policy.run(() => Effect.void, facts as never), told)
        }
      }
      assert.strictEqual((yield* policy.bulkhead!.snapshot).active, 0)
    }))

  it("are refused by a declared dependency too", () => {
    for (const [facts, told] of wrong) {
      assert.throws(() => Charges.call(facts as never), told)
    }
  })

  it.effect("each fact is read once, before anything is taken for the call", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("read once", { bulkhead: { maxConcurrent: 1 } })
      let reads = 0
      const facts = {
        get operation() {
          if (reads++ > 0) throw new Error("read again")
          return "charge"
        }
      }
      const operations = new Set<string | undefined>()
      const answer = yield* Effect.succeed("charged").pipe(
        policy.with(facts),
        ResilienceEvent.listen((event) => operations.add(event.call?.operation))
      )
      assert.strictEqual(answer, "charged")
      assert.deepStrictEqual([...operations], ["charge"])
      assert.strictEqual((yield* policy.bulkhead!.snapshot).active, 0)
    }))
})
