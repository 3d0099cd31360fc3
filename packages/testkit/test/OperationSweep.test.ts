import { assert, describe, it } from "@effect/vitest"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"

interface Lock {
  readonly withPermit: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  readonly free: Effect.Effect<boolean>
}

/** One permit, taken in the same step that installs its release; the wait before it holds nothing. */
const correctLock = (): Lock => {
  let taken = false
  const waiters: Array<() => void> = []
  const release = Effect.sync(() => {
    taken = false
    waiters.shift()?.()
  })
  const withPermit = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        if (!taken) {
          taken = true
          return Effect.ensuring(restore(effect), release)
        }
        const wait = Effect.async<void>((resume) => {
          const waiter = () => resume(Effect.void)
          waiters.push(waiter)
          return Effect.sync(() => {
            const place = waiters.indexOf(waiter)
            if (place >= 0) waiters.splice(place, 1)
            // Woken and interrupted at once: the turn goes to the next one.
            else if (!taken) waiters.shift()?.()
          })
        })
        return Effect.zipRight(restore(wait), withPermit(restore(effect)))
      })
    )
  return { withPermit, free: Effect.sync(() => !taken && waiters.length === 0) }
}

/** The take and the release are two operations with a gap between them. */
const leakyLock = (): Lock => {
  let taken = false
  return {
    withPermit: (effect) =>
      Effect.sync(() => (taken = true)).pipe(
        Effect.zipRight(Effect.ensuring(effect, Effect.sync(() => (taken = false))))
      ),
    free: Effect.sync(() => !taken)
  }
}

const effectLock = (): Lock => {
  const semaphore = Effect.unsafeMakeSemaphore(1)
  return {
    withPermit: semaphore.withPermits(1),
    free: Effect.map(semaphore.withPermitsIfAvailable(1)(Effect.void), Option.isSome)
  }
}

const sweepLock = (
  lock: () => Lock,
  contended: boolean,
  options?: Partial<Pick<OperationSweep.Options<Lock, void, never>, "modes" | "clock" | "fibers" | "at" | "and">>
) =>
  OperationSweep.run({
    make: () =>
      Effect.gen(function*() {
        const made = lock()
        if (contended) yield* Effect.forkDaemon(made.withPermit(Effect.sleep("1 second")))
        yield* Effect.yieldNow()
        return made
      }),
    body: (made) => made.withPermit(contended ? Effect.void : Effect.yieldNow()),
    check: (made) => Effect.map(made.free, (free) => free ? [] : ["the permit is lost"]),
    ...options
  })

const complaints = (findings: ReadonlyArray<OperationSweep.Finding>) =>
  Array.from(new Set(findings.flatMap((finding) => finding.complaints)))

describe("OperationSweep", () => {
  for (const contended of [false, true]) {
    const when = contended ? "with contention" : "without contention"

    it.effect(`finds the six operations at which a semaphore of Effect loses its permit, ${when}`, () =>
      Effect.gen(function*() {
        const report = yield* sweepLock(effectLock, contended)
        for (const mode of ["inline", "yield"]) {
          assert.strictEqual(report.failures.filter((finding) => finding.mode === mode).length, 6)
        }
        assert.strictEqual(report.hangs.length, 0)
        assert.throws(() => OperationSweep.assertClean(report), "the permit is lost")
      }))

    it.effect(`passes a semaphore that takes and installs its release in one step, ${when}`, () =>
      Effect.gen(function*() {
        for (const clock of ["virtual", "live"] as const) {
          if (contended && clock === "live") continue
          const report = yield* sweepLock(correctLock, contended, { clock })
          OperationSweep.assertClean(report)
          assert.strictEqual(report.idlePoints, contended ? 1 : 0)
          assert.isAbove(report.operations, 10)
          assert.strictEqual(report.runs, 1 + 2 * report.operations + report.idlePoints)
        }
      }))
  }

  it.effect("finds a gap between a take and its release in every counting and by a defect too", () =>
    Effect.gen(function*() {
      for (const fibers of ["body", "all"] as const) {
        const interrupted = yield* sweepLock(leakyLock, false, { fibers })
        assert.deepStrictEqual(complaints(interrupted.failures), ["the permit is lost"])
      }
      const died = yield* sweepLock(leakyLock, false, { at: "defect" })
      assert.deepStrictEqual(complaints(died.failures), ["the permit is lost"])
      OperationSweep.assertClean(yield* sweepLock(correctLock, false, { at: "defect" }))
    }))

  it.effect("ends the body with the defect at an interruptible operation", () =>
    Effect.gen(function*() {
      let died = 0
      yield* OperationSweep.run({
        make: () => Effect.void,
        body: () => Effect.zipRight(Effect.void, Effect.uninterruptible(Effect.zipRight(Effect.void, Effect.void))),
        at: "defect",
        modes: ["inline", "idle"],
        check: (_, exit) => {
          if (String(exit).includes("SweepDefect")) died++
        }
      }).pipe(Effect.map((report) => assert.strictEqual(report.runs - 1 - report.notReached, died)))
      assert.isAbove(died, 0)
    }))

  it.effect("rings an alarm of the world at every operation, and interrupts at every later one", () =>
    Effect.gen(function*() {
      interface World {
        readonly alarm: Deferred.Deferred<void, "rung">
        rung: number
      }
      const exits = new Set<string>()
      const sweep = (maximumPairs: number) =>
        OperationSweep.run({
          make: () =>
            Effect.gen(function*() {
              const alarm = yield* Deferred.make<void, "rung">()
              yield* Effect.forkDaemon(Effect.delay(Deferred.succeed(alarm, undefined), "1 second"))
              return { alarm, rung: 0 } as World
            }),
          body: (world) => Effect.ensuring(Deferred.await(world.alarm), Effect.yieldNow()),
          at: (world) => {
            world.rung++
            Deferred.unsafeDone(world.alarm, Effect.fail("rung"))
          },
          and: "interrupt",
          maximumPairs,
          seed: 7,
          check: (world, exit, { sleepers }) => {
            exits.add(Exit.isSuccess(exit) ? "waited" : Exit.isInterrupted(exit) ? "interrupted" : "rung")
            return [
              ...(world.rung > 1 ? ["rung twice"] : []),
              ...(Exit.isSuccess(exit) && sleepers > 0 && world.rung === 0 ? ["went on before the alarm"] : [])
            ]
          }
        })
      const sampled = yield* sweep(30)
      OperationSweep.assertClean(sampled)
      assert.strictEqual(sampled.runs, 1 + 2 * sampled.operations + sampled.idlePoints + 30)
      assert.deepStrictEqual(yield* sweep(30), sampled)
      const all = yield* sweep(5000)
      OperationSweep.assertClean(all)
      assert.isAbove(all.runs, sampled.runs + all.operations ** 2 / 2)
      assert.deepStrictEqual(Array.from(exits).sort(), ["interrupted", "rung", "waited"])
    }))

  it.effect("finds the operations at which Effect.all hangs, and excludes them for a body that stands on it", () =>
    Effect.gen(function*() {
      const all = Effect.all([Effect.sleep(10), Effect.sleep(20)], { concurrency: 2, discard: true })
      const sweep = (control: boolean) =>
        OperationSweep.run({
          make: () => Effect.void,
          body: (_, mark) => Effect.zipRight(Effect.sleep(5), mark(all)),
          check: () => {},
          ...(control ? { control: (_: void, mark: OperationSweep.Mark) => mark(all) } : {})
        })
      const bare = yield* sweep(false)
      assert.isAbove(bare.hangs.length, 10)
      const controlled = yield* sweep(true)
      OperationSweep.assertClean(controlled)
      assert.deepStrictEqual(controlled.excluded, bare.hangs)
    }))

  it.effect("acts from outside at each moment at which the body only waits", () =>
    Effect.gen(function*() {
      const instants: Array<number> = []
      const report = yield* OperationSweep.run({
        make: () => Effect.succeed({ left: false }),
        body: (world) =>
          Effect.sleep("1 second").pipe(
            Effect.zipRight(Effect.sync(() => (world.left = true))),
            Effect.zipRight(Effect.sleep("1 second")),
            // Forgets to clean up when it is interrupted in its second wait.
            Effect.zipRight(Effect.sync(() => (world.left = false)))
          ),
        modes: ["idle"],
        check: (world) => {
          instants.push(world.left ? 1 : 0)
          return world.left ? "left behind" : ""
        }
      })
      assert.deepStrictEqual(report.failures, [{ mode: "idle", at: 2, complaints: ["left behind"] }])
      assert.deepStrictEqual(instants, [0, 0, 1])
    }))

  it.effect("yields at an operation, so that others run between two operations", () =>
    Effect.gen(function*() {
      const lostUpdate = (modes: ReadonlyArray<OperationSweep.Mode>) =>
        OperationSweep.run({
          make: () => Effect.succeed({ count: 0 }),
          body: (world) =>
            Effect.flatMap(Effect.sync(() => world.count), (read) => Effect.sync(() => (world.count = read + 1))).pipe(
              Effect.replicateEffect(2, { concurrency: "unbounded" })
            ),
          at: () => {},
          fibers: "all",
          modes,
          check: (world) => world.count === 2 ? [] : [`counted ${world.count}`]
        })
      OperationSweep.assertClean(yield* lostUpdate(["inline"]))
      assert.deepStrictEqual(complaints((yield* lostUpdate(["yield"])).failures), ["counted 1"])
    }))

  it.effect("tells of fibers that the body left running, and not of its own, nor of those of the world", () =>
    Effect.gen(function*() {
      const sweep = (fork: (effect: Effect.Effect<void>) => Effect.Effect<unknown>) =>
        OperationSweep.run({
          make: () => Effect.forkDaemon(Effect.sleep("1 hour")),
          body: () => fork(Effect.sleep("1 minute")),
          modes: ["inline", "idle"],
          check: (_, __, left) => left.fibers === 0 ? [] : `${left.fibers} left`
        })
      OperationSweep.assertClean(yield* sweep(Effect.fork))
      OperationSweep.assertClean(yield* sweep((effect) => Effect.scoped(Effect.forkScoped(effect))))
      // A timeout that abandons what it cannot wait for.
      const daemon = yield* sweep(Effect.forkDaemon)
      assert.deepStrictEqual(complaints(daemon.failures), ["1 left"])
      assert.strictEqual(daemon.failures[0]?.at, 0)
    }))

  it.effect("reports a body that hangs after its interruption, under both clocks", () =>
    Effect.gen(function*() {
      for (const clock of ["virtual", "live"] as const) {
        const report = yield* OperationSweep.run({
          make: () => Deferred.make<void>(),
          body: (never) => Effect.onInterrupt(Effect.yieldNow(), () => Deferred.await(never)),
          clock,
          check: () => {}
        })
        assert.isAbove(report.hangs.length, 0)
        assert.include(report.hangs[0]!.complaints[0], "hangs: everything is idle")
        assert.throws(() => OperationSweep.assertClean(report), "hang, inline at")
      }
    }))

  it.effect("reports a livelock as a hang", () =>
    Effect.gen(function*() {
      const report = yield* OperationSweep.run({
        make: () => Effect.void,
        body: () => Effect.onInterrupt(Effect.sleep(1), () => Effect.forever(Effect.sleep(1))),
        maximumSteps: 20,
        modes: ["idle"],
        check: () => {}
      })
      assert.deepStrictEqual(report.hangs.map((hang) => hang.complaints), [["hangs: has not ended after 20 steps"]])
    }))

  it.effect("excludes what the control does wrong at the same place, and nothing else", () =>
    Effect.gen(function*() {
      const inner = (lock: Lock) => lock.withPermit(Effect.yieldNow())
      const sweep = (wrap: <A, E>(effect: Effect.Effect<A, E>, lock: Lock) => Effect.Effect<A, E>) =>
        OperationSweep.run({
          make: () => Effect.sync(effectLock),
          body: (lock, mark) => wrap(mark(inner(lock)), lock),
          control: (lock, mark) => mark(inner(lock)),
          modes: ["inline"],
          check: (lock) => Effect.map(lock.free, (free) => free ? [] : ["the permit is lost"])
        })
      const innocent = yield* sweep((effect) => Effect.zipRight(Effect.sleep(5), Effect.zipLeft(effect, Effect.void)))
      OperationSweep.assertClean(innocent)
      assert.strictEqual(innocent.controlFaults.length, 6)
      assert.strictEqual(innocent.excluded.length, 6)
      assert.notStrictEqual(innocent.excluded[0]!.at, innocent.controlFaults[0]!.at)
      const guilty = yield* sweep((effect, lock) => Effect.zipRight(inner(lock), effect))
      assert.strictEqual(guilty.excluded.length, 6)
      assert.strictEqual(guilty.failures.length, 6)
    }))

  it.effect("refuses a sweep that reached nothing, and counts points that were not reached", () =>
    Effect.gen(function*() {
      const nothing = yield* OperationSweep.run({
        make: () => Effect.void,
        body: () => Effect.void,
        modes: ["idle"],
        check: () => {}
      })
      assert.throws(() => OperationSweep.assertClean(nothing), "reached no point")
      let bodies = 0
      const shrinking = yield* OperationSweep.run({
        make: () => Effect.sync(() => bodies++),
        body: (earlier) => earlier === 0 ? Effect.replicateEffect(Effect.void, 10) : Effect.void,
        modes: ["inline"],
        check: () => {}
      })
      assert.isAbove(shrinking.notReached, 5)
      assert.isBelow(shrinking.notReached, shrinking.operations)
    }))

  it.effect("tells a check, an action or a making of the world that fails or hangs", () =>
    Effect.gen(function*() {
      const sweep = (options: Partial<OperationSweep.Options<void, void, never>>) =>
        OperationSweep.run<void, void, never>({
          make: () => Effect.void,
          body: () => Effect.void,
          check: () => {},
          modes: ["inline"],
          ...options
        })
      const thrown = yield* sweep({ check: () => assert.fail("no such field") })
      assert.include(complaints(thrown.failures)[0], "no such field")
      const hanging = yield* sweep({ check: () => Effect.never })
      assert.include(complaints(hanging.failures)[0], "check hangs: everything is idle")
      const action = yield* sweep({
        at: () => {
          throw new Error("broken alarm")
        }
      })
      assert.deepStrictEqual(complaints(action.failures), ["the action threw Error: broken alarm"])
      const made = yield* Effect.exit(sweep({ make: () => Effect.never }))
      assert.isTrue(Exit.isFailure(made))
    }))
})
