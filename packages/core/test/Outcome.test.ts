import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as Outcome from "../src/Outcome.js"

describe("building an outcome", () => {
  for (const outcomeClass of Outcome.classes) {
    it(`${outcomeClass} without details is one constant that carries no status`, () => {
      const constant = Outcome.make(outcomeClass)
      assert.strictEqual(constant.class, outcomeClass)
      assert.strictEqual(constant.status, undefined)
      assert.strictEqual(constant, Outcome.make(outcomeClass, {}))
      assert.strictEqual(
        constant,
        Outcome.make(outcomeClass, { retryAfter: undefined, neverSent: false, status: undefined })
      )
    })

    it(`${outcomeClass} with a status is one frozen value for each status, and differs from its constant in nothing else`, () => {
      const answered = Outcome.make(outcomeClass, { status: "418" })
      assert.isTrue(Object.isFrozen(answered))
      assert.strictEqual(answered, Outcome.make(outcomeClass, { status: "418" }))
      assert.notStrictEqual(answered, Outcome.make(outcomeClass, { status: "419" }))
      assert.deepStrictEqual({ ...answered, status: undefined }, { ...Outcome.make(outcomeClass) })
    })
  }

  it("a wait and the proof that nothing was sent are kept beside the status", () => {
    const retryAfter = Duration.seconds(2)
    assert.deepStrictEqual(Outcome.make("Overloaded", { retryAfter, status: "429" }), {
      class: "Overloaded",
      retryAfter,
      neverSent: false,
      status: "429"
    })
    assert.deepStrictEqual(Outcome.make("Retryable", { neverSent: true }), {
      class: "Retryable",
      retryAfter: undefined,
      neverSent: true,
      status: undefined
    })
  })

  it("statuses that are data and no vocabulary are told, and not kept", () => {
    for (let index = 0; index < 1000; index++) {
      assert.strictEqual(Outcome.make("Permanent", { status: `order ${index}` }).status, `order ${index}`)
    }
    assert.notStrictEqual(
      Outcome.make("Permanent", { status: "order 999" }),
      Outcome.make("Permanent", { status: "order 999" })
    )
  })
})
