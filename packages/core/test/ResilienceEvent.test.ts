import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Failure from "@holdfast/core/Failure"
import * as Outcome from "@holdfast/core/Outcome"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import { loggedInto } from "./support/logged.js"

type Told = Extract<ResilienceEvent.ResilienceEvent, { readonly _tag: "AttemptEnded" | "CallEnded" | "PolicyFault" }>

const listening = (effect: Effect.Effect<unknown, unknown>) => {
  const told: Array<Told> = []
  const listener = (event: ResilienceEvent.ResilienceEvent) => {
    if (event._tag === "AttemptEnded" || event._tag === "CallEnded" || event._tag === "PolicyFault") {
      told.push(event)
    }
  }
  return Effect.as(
    Effect.exit(effect).pipe(
      ResilienceEvent.listen(listener),
      Effect.provide(Logger.remove(Logger.defaultLogger))
    ),
    told
  )
}

const classesOf = (told: ReadonlyArray<Told>) =>
  told.map((event) => event._tag === "PolicyFault" ? event._tag : `${event._tag} ${event.outcome.class}`)

/** A value that is a failure. */
const byStatus: Failure.Classify = (exit: Exit.Exit<unknown, unknown>) =>
  exit._tag === "Success"
    ? Outcome.make(Outcome.ofStatus(exit.value as number), { status: String(exit.value) })
    : Failure.classify(exit)

const fast = { maxRetries: 1, schedule: Backoff.none } as const

describe("the ends that listeners hear of", () => {
  for (
    const [name, make] of [
      ["of the standard policy", Policy.standard("status", { classify: byStatus, retry: fast })],
      ["without a breaker", Policy.standard("status", { classify: byStatus, circuitBreaker: false, retry: fast })],
      [
        "of a breaker in attempt scope",
        Effect.map(
          CircuitBreaker.make({ name: "status", classify: byStatus }),
          (breaker) => Policy.compose(Retry.make({ ...fast, classify: byStatus }), breaker, Timeout.make("1 second"))
        )
      ],
      [
        "of a retry with nothing inside it",
        Effect.succeed(
          Policy.compose(Timeout.make("9 seconds", { scope: "total" }), Retry.make({ ...fast, classify: byStatus }))
        )
      ]
    ] as ReadonlyArray<readonly [string, Effect.Effect<Policy.Policy.Any>]>
  ) {
    it.effect(`${name} are as its own classifier sees them`, () =>
      Effect.gen(function*() {
        const policy = yield* make
        const told = yield* listening(policy(Effect.succeed(503)) as Effect.Effect<unknown, unknown>)
        assert.deepStrictEqual(classesOf(told), [
          "AttemptEnded Retryable",
          "AttemptEnded Retryable",
          "CallEnded Retryable"
        ])
        assert.isTrue(told.every((event) => event._tag !== "PolicyFault" && event.outcome.status === "503"))
      }))
  }

  it.effect("without a breaker and a retry, those of a call with a classifier are as that one sees them", () =>
    Effect.gen(function*() {
      const limit = Timeout.make("1 second")
      const told = yield* listening(limit.with({ classify: byStatus })(Effect.succeed(404)))
      assert.deepStrictEqual(classesOf(told), ["AttemptEnded Permanent", "CallEnded Permanent"])
    }))

  it.effect("a classifier that throws is told of once in a call, and its ends are unclassified", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("throws", {
        retry: false,
        classify: () => {
          throw new Error("a bug")
        }
      })
      const told = yield* listening(policy(Effect.succeed(1)))
      assert.deepStrictEqual(classesOf(told), ["PolicyFault", "AttemptEnded Unclassified", "CallEnded Unclassified"])
    }))

  it.effect("the events about one attempt share one description of the call, and the next attempt has its own", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("shared", { retry: fast })
      class Busy extends Failure.Retryable("Busy")<{}> {}
      const [first, second, whole] = yield* listening(policy.with({ operation: "get" })(Effect.fail(new Busy())))
      assert.deepStrictEqual([first?.call?.attempt, second?.call?.attempt, whole?.call?.attempt], [1, 2, 2])
      assert.strictEqual(second?.call, whole?.call)
      assert.deepStrictEqual({ ...first?.call, attempt: 2 }, { ...second?.call })
      assert.strictEqual(first?.call?.operation, "get")
    }))
})

describe("an async listener", () => {
  it("that rejects ends nothing: the others hear of it, and it is logged once", async () => {
    const unhandled: Array<unknown> = []
    const hear = (reason: unknown) => void unhandled.push(reason)
    process.on("unhandledRejection", hear)
    const told: Array<string> = []
    const lines: Array<string> = []
    const rejecting = async () => {
      await Promise.resolve()
      throw new Error("not stored")
    }
    await Effect.succeed(1).pipe(
      Timeout.make("1 second", { name: "listened" }),
      Effect.repeatN(2),
      ResilienceEvent.listen((event) =>
        told.push(event._tag === "PolicyFault" ? `fault of ${event.part}` : event._tag)
      ),
      ResilienceEvent.listen(rejecting as () => void),
      loggedInto(lines),
      Effect.runPromise
    )
    // Rejections without a handler are reported before the next turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve))
    process.off("unhandledRejection", hear)
    assert.deepStrictEqual(unhandled, [])
    assert.lengthOf(told.filter((one) => one === "fault of listener"), 6, told.join())
    assert.deepStrictEqual(lines.map((line) => line.split(" cause")[0]), [
      "ERROR A listener rejected; the others and the call went on without it"
    ])
  })
})
