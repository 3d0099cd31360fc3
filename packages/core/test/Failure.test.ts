import { assert, describe, it } from "@effect/vitest"
import * as Failure from "@holdfast/core/Failure"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Outcome from "@holdfast/core/Outcome"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"

class Busy extends Failure.Retryable("Busy")<
  { readonly retryAfter?: Duration.Duration; readonly neverSent?: boolean; readonly cause?: unknown }
> {}
class SlowDown extends Failure.Overloaded("SlowDown")<{ readonly retryAfter?: Duration.Duration }> {}
class Declined extends Failure.Permanent("Declined")<{ readonly order: string }> {}

const coded = (code: string, more: object = {}) => Object.assign(new Error(code), { code, ...more })

describe("the outcome table", () => {
  it("is the one of the design, word by word", () => {
    assert.deepStrictEqual(
      Outcome.classes.map((one) => {
        const { circuitBreaker, fallback, retry } = Outcome.table[one]
        return [one, retry, circuitBreaker, fallback]
      }),
      [
        ["Success", false, "success", false],
        ["Retryable", true, "failure", true],
        ["Overloaded", true, "ignored", true],
        ["Permanent", false, "success", false],
        ["Unclassified", false, "failure", true],
        ["Rejected", false, "ignored", true],
        ["Interrupted", false, "ignored", false]
      ]
    )
  })

  it("knows every status: few may be cured, one asks to slow down, the other errors will not change", () => {
    const of = (outcomeClass: Outcome.Class) =>
      Array.from({ length: 200 }, (_, index) => 400 + index).filter((status) =>
        Outcome.ofStatus(status) === outcomeClass
      )
    assert.deepStrictEqual(of("Retryable"), [408, 425, 500, 502, 503, 504])
    assert.deepStrictEqual(of("Overloaded"), [429])
    assert.includeMembers([...of("Permanent")], [400, 401, 403, 404, 409, 422, 501, 505])
    assert.strictEqual(of("Retryable").length + 1 + of("Permanent").length + of("Unclassified").length, 200)
    for (const status of [200, 201, 204, 301, 304]) {
      assert.strictEqual(Outcome.ofStatus(status), "Success")
    }
  })
})

describe("errors built on their class", () => {
  it("say it to every policy, and carry their wait and their proof", () => {
    assert.strictEqual(Failure.classifyError(new Busy({})), Outcome.retryable)
    assert.strictEqual(Failure.classifyError(new Declined({ order: "o-1" })), Outcome.permanent)
    const wait = Duration.seconds(2)
    assert.deepStrictEqual(Failure.classifyError(new SlowDown({ retryAfter: wait })).retryAfter, wait)
    assert.isTrue(Failure.classifyError(new Busy({ neverSent: true })).neverSent)
    // A wrong wait is no wait.
    assert.isUndefined(Failure.classifyError(new SlowDown({ retryAfter: 2000 as never })).retryAfter)
  })

  it("are tagged errors with fields, a stack and a class of their own", () => {
    const error = new Declined({ order: "o-1" })
    assert.instanceOf(error, Error)
    assert.deepStrictEqual([error._tag, error.order, error.name], ["Declined", "o-1", "Declined"])
    assert.include(error.stack ?? "", "Failure.test")
    assert.notInstanceOf(error, Busy)
  })

  it.effect("can be yielded and caught like any tagged error", () =>
    Effect.gen(function*() {
      const caught = yield* Effect.gen(function*() {
        return yield* new Declined({ order: "o-1" })
      }).pipe(Effect.catchTag("Declined", ({ order }) => Effect.succeed(order)))
      assert.strictEqual(caught, "o-1")
    }))
})

describe("what was never sent", () => {
  for (const code of ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]) {
    it(`${code} proves it, wherever it stands in the chain of causes`, () => {
      const wrapped = new Error("fetch failed", { cause: new Error("inner", { cause: coded(code) }) })
      assert.isTrue(Failure.neverSent(coded(code)))
      assert.isTrue(Failure.neverSent(wrapped))
      assert.deepStrictEqual({ ...Failure.classifyError(wrapped) }, {
        ...Outcome.make("Retryable", { neverSent: true })
      })
    })
  }

  for (const code of ["ECONNRESET", "ECONNABORTED", "EPIPE", "UND_ERR_SOCKET", "UND_ERR_BODY_TIMEOUT"]) {
    it(`${code} proves nothing, but another try may work`, () => {
      assert.isFalse(Failure.neverSent(coded(code)))
      assert.strictEqual(Failure.classifyError(coded(code)), Outcome.retryable)
    })
  }

  for (const code of ["EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"]) {
    it(`${code} proves it while the connection is opened, and nothing on an open one`, () => {
      assert.isTrue(Failure.neverSent(coded(code, { syscall: "connect" })))
      assert.isFalse(Failure.neverSent(coded(code, { syscall: "write" })))
      assert.isFalse(Failure.neverSent(coded(code)))
      assert.strictEqual(Failure.classifyError(coded(code, { syscall: "read" })), Outcome.retryable)
    })
  }

  it("of several addresses that were tried, all must prove it", () => {
    const tried = (...errors: Array<Error>) => coded("ECONNREFUSED", { errors })
    assert.isTrue(Failure.neverSent(tried(coded("ECONNREFUSED"), coded("ETIMEDOUT", { syscall: "connect" }))))
    assert.isFalse(Failure.neverSent(tried(coded("ECONNREFUSED"), coded("ECONNRESET"))))
  })

  it("a chain that ends in itself ends, and what is no error proves nothing", () => {
    const circular: { cause?: unknown } = new Error("circular")
    circular.cause = circular
    for (const error of [circular, undefined, null, "ECONNREFUSED", 7, { code: 1 }]) {
      assert.isFalse(Failure.neverSent(error))
      assert.strictEqual(Failure.classifyError(error), Outcome.unclassified)
    }
  })
})

describe("a cause with several failures", () => {
  const failed = Cause.fail(new Busy({}))
  const died = Cause.die(new Error("bug"))
  const interrupted = Cause.interrupt(FiberId.none)

  it("a defect outranks a typed failure, and a typed failure outranks interruption", () => {
    for (const join of [Cause.parallel, Cause.sequential] as const) {
      for (const [left, right] of [[failed, died], [died, failed]] as const) {
        assert.strictEqual(Failure.classifyCause(join(left, right)), Outcome.unclassified)
      }
      for (const [left, right] of [[failed, interrupted], [interrupted, failed]] as const) {
        assert.strictEqual(Failure.classifyCause(join(left, right)), Outcome.retryable)
      }
      assert.strictEqual(Failure.classifyCause(join(died, interrupted)), Outcome.unclassified)
      assert.strictEqual(Failure.classifyCause(join(interrupted, interrupted)), Outcome.interrupted)
      assert.strictEqual(Failure.classifyCause(join(join(interrupted, failed), died)), Outcome.unclassified)
    }
    assert.strictEqual(Failure.classifyCause(Cause.empty), Outcome.unclassified)
  })

  it("Effect's own timeout may be cured", () => {
    assert.strictEqual(Failure.classifyError(new Cause.TimeoutException()), Outcome.retryable)
  })
})

describe("Failure.byTag", () => {
  const wait = Duration.seconds(3)
  const classify = Failure.byTag({
    CardDeclined: "Permanent",
    DbBusy: "Retryable",
    Throttled: Outcome.make("Overloaded", { retryAfter: wait }),
    Status: (error: { readonly status: number }) => error.status === 503 ? "Retryable" : "Permanent",
    // Over what the error says of itself.
    Busy: "Permanent"
  })
  const of = (error: unknown) => classify(Exit.fail(error))

  it("takes a class, an outcome or a function of the error", () => {
    assert.strictEqual(of({ _tag: "CardDeclined" }), Outcome.permanent)
    assert.strictEqual(of({ _tag: "DbBusy" }), Outcome.retryable)
    assert.strictEqual(of({ _tag: "Throttled" }).retryAfter, wait)
    assert.strictEqual(of({ _tag: "Status", status: 503 }), Outcome.retryable)
    assert.strictEqual(of({ _tag: "Status", status: 404 }), Outcome.permanent)
    assert.strictEqual(of(new Busy({})), Outcome.permanent)
  })

  it("leaves all else to the default, or to the classifier that it is given", () => {
    assert.strictEqual(of(new SlowDown({})), Outcome.overloaded)
    assert.strictEqual(of({ _tag: "Unknown" }), Outcome.unclassified)
    assert.strictEqual(of({ _tag: "constructor" }), Outcome.unclassified)
    assert.strictEqual(of("no tag"), Outcome.unclassified)
    assert.strictEqual(of(coded("ECONNRESET")), Outcome.retryable)
    assert.strictEqual(classify(Exit.succeed(1)), Outcome.success)
    assert.strictEqual(classify(Exit.die(new Error("bug"))), Outcome.unclassified)
    assert.strictEqual(classify(Exit.interrupt(FiberId.none)), Outcome.interrupted)
    const sad = Failure.byTag({ DbBusy: "Retryable" }, () => Outcome.permanent)
    assert.strictEqual(sad(Exit.succeed(1)), Outcome.permanent)
    assert.strictEqual(sad(Exit.fail({ _tag: "DbBusy" })), Outcome.retryable)
  })

  it("does not outrank a defect beside the error", () => {
    const both = Cause.parallel(Cause.fail({ _tag: "CardDeclined" }), Cause.die(new Error("bug")))
    assert.strictEqual(classify(Exit.failCause(both)), Outcome.unclassified)
  })

  it("refuses a class that there is not, before any call is made", () => {
    const refused = (verdicts: object) => {
      try {
        Failure.byTag(verdicts as never)
      } catch (error) {
        return error instanceof InvalidOptions ? error.message : "another error"
      }
      return "nothing"
    }
    assert.strictEqual(
      refused({ DbBusy: "Retriable", Gone: "Permanent" }),
      "Failure.byTag: DbBusy is \"Retriable\", allowed is one of \"Retryable\", \"Overloaded\", \"Permanent\", \"Unclassified\"; " +
        "or an Outcome, or a function of the error"
    )
    assert.include(refused({ DbBusy: "Success" }), "DbBusy is \"Success\"")
    assert.include(refused({ DbBusy: 503 }), "DbBusy is 503")
    assert.include(refused({ DbBusy: { class: "Retriable" } }), "DbBusy is {\"class\":\"Retriable\"}")
    assert.include(refused(["Retryable"]), "options is [\"Retryable\"]")
  })
})
