/** Both ways of stopping by the live clock: programs whose moments lie far enough apart leave equal traces. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Backoff from "../../src/Backoff.js"
import * as Failure from "../../src/Failure.js"
import * as stopping from "../../src/internal/stopping.js"
import * as Retry from "../../src/Retry.js"
import * as Step from "../../src/Step.js"
import * as Timeout from "../../src/Timeout.js"

class Busy extends Failure.Retryable("Busy")<{}> {}

type Note = (text: string) => Effect.Effect<void>

type Programs = Readonly<Record<string, (note: Note) => Effect.Effect<unknown, unknown>>>

/** The same programs with all their moments further apart: what a busy machine delays, it delays by less than that. */
const programs = (apart: number): Programs => {
  const limit = Timeout.make(100 * apart)
  const inner = Timeout.make(50 * apart, { name: "inner" })
  const retrying = Step.policy<Timeout.TimedOut>([
    ...Step.partsOf(Timeout.make(250 * apart, { scope: "total" })),
    ...Step.partsOf(Retry.make({ maxRetries: 2, schedule: Backoff.constant(10 * apart, { jitter: "none" }) })),
    ...Step.partsOf(Timeout.make(60 * apart))
  ])
  return {
    "an answer in time": () => limit(Effect.delay(Effect.succeed("answer"), 20 * apart)),
    "an answer too late": () => limit(Effect.delay(Effect.succeed("answer"), 300 * apart)),
    "a failure in time": () => limit(Effect.delay(Effect.fail("failure"), 20 * apart)),
    "a defect in time": () => limit(Effect.delay(Effect.die("defect"), 20 * apart)),
    "a release that takes its time": (note) =>
      limit(
        Effect.acquireUseRelease(note("acquired"), () => Effect.never, () => Effect.delay(note("released"), 30 * apart))
      ),
    "a scope that takes its time to close after an inner limit": (note) =>
      limit(Effect.zipRight(
        Effect.scoped(Effect.zipRight(
          Effect.acquireRelease(note("acquired"), () => Effect.delay(note("released"), 80 * apart)),
          Effect.exit(inner(Effect.never))
        )),
        Effect.zipRight(Effect.sleep(200 * apart), note("went on"))
      )),
    "an uninterruptible part": (note) =>
      limit(Effect.zipRight(Effect.uninterruptible(Effect.delay(note("done"), 200 * apart)), note("went on"))),
    "an inner limit that is caught": (note) =>
      limit(Effect.zipRight(Effect.ignore(inner(Effect.never)), note("went on"))),
    "children": (note) =>
      limit(Effect.zipRight(Effect.fork(Effect.onExit(Effect.never, () => note("child ended"))), Effect.never)),
    "a race": (note) =>
      limit(
        Effect.raceFirst(
          Effect.delay(note("fast"), 20 * apart),
          Effect.onInterrupt(Effect.never, () => note("loser ended"))
        )
      ),
    "attempts that hang": (note) => retrying(Effect.zipRight(note("attempt"), Effect.never)),
    "attempts that fail": (note) => retrying(Effect.zipRight(note("attempt"), Effect.fail(new Busy()))),
    "a promise": () => limit(Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20 * apart)))),
    "a promise that never comes": (note) =>
      limit(
        Effect.promise((signal) =>
          new Promise(() => signal.addEventListener("abort", () => Effect.runFork(note("aborted"))))
        )
      ),
    "a caller who leaves": (note) =>
      Effect.gen(function*() {
        const started = yield* Deferred.make<void>()
        const caller = yield* Effect.fork(limit(Effect.zipRight(
          Deferred.succeed(started, undefined),
          Effect.onInterrupt(Effect.never, () => Effect.delay(note("released"), 150 * apart))
        )))
        yield* Deferred.await(started)
        yield* Effect.sleep(20 * apart)
        const exit = yield* Fiber.interrupt(caller)
        return Exit.isInterrupted(exit) ? "interrupted" : "not interrupted"
      })
  }
}

const traces = (child: boolean, apart: number): Promise<Traces> => {
  stopping.forceChildFiber(child)
  return Effect.runPromise(Effect.all(
    Object.fromEntries(
      Object.entries(programs(apart)).map(([name, program]) => {
        const events: Array<string> = []
        const note: Note = (text) => Effect.sync(() => events.push(text))
        return [
          name,
          Effect.map(Effect.exit(program(note)), (exit) => [
            ...events,
            Exit.match(exit, {
              onSuccess: (value) => `value ${typeof value === "string" ? value : ""}`,
              onFailure: (cause) =>
                `${cause._tag} ${cause._tag === "Fail" ? (cause.error as any)?._tag ?? cause.error : ""}`
            })
          ])
        ]
      })
    ),
    { concurrency: "unbounded" }
  )).finally(() => stopping.forceChildFiber(false))
}

type Traces = Record<string, ReadonlyArray<string>>

const judge = (shared: Traces, child: Traces) => {
  assert.deepStrictEqual(shared, child)
  assert.deepStrictEqual(shared["an answer in time"], ["value answer"])
  assert.deepStrictEqual(shared["an answer too late"], ["Fail TimedOut"])
  assert.deepStrictEqual(shared["a scope that takes its time to close after an inner limit"], [
    "acquired",
    "released",
    "Fail TimedOut"
  ])
  assert.deepStrictEqual(shared["attempts that hang"]?.filter((event) => event === "attempt").length, 3)
  assert.deepStrictEqual(shared["a caller who leaves"], ["released", "value interrupted"])
}

describe.sequential("both ways of stopping an effect by the live clock", () => {
  it("programs leave equal traces", async () => {
    for (const apart of [1, 4]) {
      try {
        return judge(await traces(false, apart), await traces(true, apart))
      } catch {
        // The machine was busy with other things for longer than the moments lie apart.
      }
    }
    judge(await traces(false, 12), await traces(true, 12))
  }, 60_000)
})
