/**
 * The property of every policy: what was taken for a call is given back exactly once, under any order of admission, answer, failure,
 * defect, departure, time and reset. Written once; a row says what a policy takes and how it can be counted.
 */
import { assert } from "@effect/vitest"
import * as Alarm from "@holdfast/core/Alarm"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as fc from "fast-check"
import { loggedInto } from "./logged.js"
import { ring } from "./ring.js"
import { Busy } from "./virtual.js"

export type ClockKind = "virtual" | "live"

/** A policy under the property. */
export interface Subject {
  /** The calls go through this. */
  readonly call: (effect: Effect.Effect<string, unknown>) => Effect.Effect<unknown, unknown>
  /** What is out now, by name: never less than 0, never more than there are calls, and 0 when none is in progress. */
  readonly out: Effect.Effect<Readonly<Record<string, number>>>
  /** What an operator may do while calls are in progress. */
  readonly reset: Effect.Effect<unknown>
  /**
   * When no call is in progress: complaints, unless everything can be taken again, and not once more. So it sees what was given back
   * twice. `started` is how often the protected effect was started.
   */
  readonly whole: (started: number, clock: ClockKind) => Effect.Effect<ReadonlyArray<string>>
}

/** Actions on the call of an index, or on all. */
const actions = ["admit", "admit", "admit", "answer", "fail", "die", "leave", "wait", "reset"] as const
type Action = typeof actions[number]
type Script = ReadonlyArray<readonly [Action, number]>

const scripts: fc.Arbitrary<Script> = fc.array(fc.tuple(fc.constantFrom<Action>(...actions), fc.nat(7)), {
  minLength: 6,
  maxLength: 30
})

interface Call {
  readonly gate: Deferred.Deferred<string, unknown>
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  entered: number
  left: number
}

/** How often each kind of thing happened to a call that was in progress, over all scripts. */
export type Taken = Map<string, number>

/** Lets every fiber go as far as it can without time. It decides only which order is tried: no count depends on it. */
const settle = Effect.repeatN(Effect.yieldNow(), 12)

const play = (make: Effect.Effect<Subject, never, Scope.Scope>, script: Script, clock: ClockKind, taken: Taken) =>
  Effect.gen(function*() {
    const subject = yield* make
    const alarms = Alarm.of(yield* Effect.clock)
    const idle = alarms.size
    const calls: Array<Call> = []
    const complaints: Array<string> = []
    const count = (what: string) => taken.set(what, (taken.get(what) ?? 0) + 1)
    const running = () => calls.filter(({ fiber }) => fiber.unsafePoll() === null)

    const admit = (kind: number) =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<string, unknown>()
        const seen = { entered: 0, left: 0 }
        const body = Effect.acquireUseRelease(
          Effect.sync(() => seen.entered++),
          () => Deferred.await(gate),
          () => Effect.sync(() => seen.left++)
        )
        // One in four cannot be interrupted, and ends when it is answered.
        const protectedCall = subject.call(kind % 4 === 0 ? Effect.uninterruptible(body) : body)
        const fiber = yield* Effect.forkDaemon(protectedCall)
        calls.push(Object.assign(seen, { gate, fiber }))
      })

    const act = ([action, index]: Script[number]) =>
      Effect.suspend((): Effect.Effect<unknown> => {
        if (action === "admit") {
          count(action)
          return admit(index)
        }
        const list = running()
        const one = list[index % Math.max(1, list.length)]
        if (one === undefined) return Effect.void
        const inside = one.entered > one.left
        if (action !== "wait" && action !== "reset") count(inside ? action : `${action} before it began`)
        else count(action)
        switch (action) {
          case "answer":
            return Deferred.succeed(one.gate, "answer")
          case "fail":
            return Deferred.fail(one.gate, new Busy({}))
          case "die":
            return Deferred.die(one.gate, "a defect of the call")
          case "leave":
            return Fiber.interruptFork(one.fiber)
          case "reset":
            return subject.reset
          case "wait":
            return clock === "virtual" ? Effect.sleep(index * 7) : Effect.sync(() => ring({ alarms }))
        }
      })

    const counted = (most: number, when: string) =>
      Effect.map(subject.out, (out) => {
        for (const [name, held] of Object.entries(out)) {
          if (!(held >= 0 && held <= most)) {
            complaints.push(`${when}: ${held} ${name} out, with ${most} calls in progress`)
          }
        }
      })

    for (const step of script) {
      yield* act(step)
      if (step[1] % 3 > 0) yield* settle
      yield* counted(running().length, step[0])
    }

    // Every call gets its answer; one that still waits for time or a place by the live clock leaves.
    for (const { gate } of calls) yield* Deferred.succeed(gate, "answer")
    yield* settle
    if (clock === "live") yield* Effect.forEach(calls, ({ fiber }) => Fiber.interruptFork(fiber))
    yield* Effect.forEach(calls, ({ fiber }) => Fiber.await(fiber))
    yield* settle

    yield* counted(0, "at the end")
    if (alarms.size > idle) complaints.push(`${alarms.size - idle} alarms are left`)
    for (const { entered, left } of calls) {
      if (entered !== left) complaints.push(`a call was entered ${entered} times and left ${left} times`)
    }
    const started = calls.reduce((sum, { entered }) => sum + entered, 0)
    return [...complaints, ...(yield* subject.whole(started, clock))]
  })

/** Runs the property over seeded scripts; a script that breaks it is shrunk, and shown with what is wrong. */
export const givesBack = async (
  make: (clock: ClockKind) => Effect.Effect<Subject, never, Scope.Scope>,
  clock: ClockKind,
  numRuns: number
): Promise<Taken> => {
  const taken: Taken = new Map()
  await fc.assert(
    fc.asyncProperty(scripts, async (script) => {
      const played = Effect.scoped(play(make(clock), script, clock, taken))
      // The warnings of breakers about defects and of resets are no subject here.
      const quiet = Effect.withRandom(loggedInto([])(played), Random.make("given back"))
      // A live clock of its own: its alarms are those of this script only.
      const complaints = await Effect.runPromise(
        clock === "virtual" ? VirtualClock.run(quiet) : Effect.withClock(quiet, Clock.make())
      )
      assert.deepStrictEqual(complaints, [])
    }),
    { numRuns, seed: 20261128 }
  )
  return taken
}
