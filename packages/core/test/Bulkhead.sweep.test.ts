import { assert, describe, it } from "@effect/vitest"
import * as Alarm from "@holdfast/core/Alarm"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as Policy from "@holdfast/core/Policy"
import * as Timeout from "@holdfast/core/Timeout"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"

interface World {
  readonly bulkhead: Bulkhead.Bulkhead
  /** Calls of the swept fiber that are inside the bulkhead. */
  inside: number
  started: number
}

const world = (options: Omit<Bulkhead.Options, "name">): Effect.Effect<World> =>
  Effect.map(Bulkhead.make({ name: "b", ...options }), (bulkhead) => ({ bulkhead, inside: 0, started: 0 }))

/** Somebody else holds a permit until the given instant, and gives it back whatever happens to the swept fiber. */
const holder = (self: World, millis: number) =>
  Effect.asVoid(Effect.forkDaemon(self.bulkhead(Effect.sleep(millis)))).pipe(Effect.zipRight(Effect.yieldNow()))

const call = (self: World, body: Effect.Effect<void> = Effect.void) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      self.started++
      self.inside++
    }),
    () => body,
    () => Effect.sync(() => self.inside--)
  )

/** A defect of the sweep in a call that was timed out is logged each time. */
const quiet = Logger.remove(Logger.defaultLogger)

const check = (self: World) =>
  Effect.gen(function*() {
    const { active, queued } = yield* self.bulkhead.snapshot
    const free = yield* Effect.either(self.bulkhead(Effect.void))
    const waiting = Alarm.of(yield* Effect.clock).size
    return [
      active === 0 ? "" : `${active} permits are out`,
      queued === 0 ? "" : `${queued} stand in the line`,
      self.inside === 0 ? "" : "the call has not been left",
      self.started <= 1 ? "" : "the call was started twice",
      free._tag === "Right" ? "" : "the permit is lost",
      waiting === 0 ? "" : `${waiting} alarms are left`
    ].filter((complaint) => complaint !== "")
  })

const sweep = (name: string, options: {
  readonly make: () => Effect.Effect<World>
  readonly body: (self: World) => Effect.Effect<unknown, unknown>
  readonly reaches?: number
}) => {
  for (
    const [action, at, and] of [["interrupted", "interrupt"], ["interrupted twice", "interrupt", "interrupt"], [
      "killed by a defect",
      "defect"
    ]] as const
  ) {
    it.live(
      `${name}: nothing leaks or hangs when it is ${action} at any operation and idle point`,
      () =>
        Effect.gen(function*() {
          const report = yield* OperationSweep.run<World, unknown, unknown>({
            make: options.make,
            body: options.body,
            check,
            at,
            ...(and === undefined ? {} : { and, maximumPairs: 400 })
          })
          assert.isAbove(report.operations, 5)
          assert.isAtLeast(report.idlePoints, options.reaches ?? 0)
          OperationSweep.assertClean(report)
        }).pipe(Effect.provide(quiet)),
      60_000
    )
  }
}

describe("Bulkhead under an operation sweep", () => {
  sweep("B01, a call that finds a free place", {
    make: () => world({ maxConcurrent: 1 }),
    body: (self) => self.bulkhead(call(self, Effect.yieldNow()))
  })

  sweep("a call that is refused", {
    make: () => Effect.tap(world({ maxConcurrent: 1 }), (self) => holder(self, 10)),
    body: (self) => Effect.exit(self.bulkhead(call(self)))
  })

  sweep("B02 and B07, a call that waits and is handed its place", {
    make: () => Effect.tap(world({ maxConcurrent: 1, maxQueue: 2 }), (self) => holder(self, 10)),
    body: (self) => self.bulkhead(call(self, Effect.yieldNow())),
    reaches: 1
  })

  sweep("a call that waits for maxWait in vain", {
    make: () => Effect.tap(world({ maxConcurrent: 1, maxQueue: 2, maxWait: "5 millis" }), (self) => holder(self, 10)),
    body: (self) => Effect.exit(self.bulkhead(call(self))),
    reaches: 1
  })

  sweep("a call that gets its place at the instant at which maxWait ends", {
    make: () => Effect.tap(world({ maxConcurrent: 1, maxQueue: 2, maxWait: "10 millis" }), (self) => holder(self, 10)),
    body: (self) => Effect.exit(self.bulkhead(call(self))),
    reaches: 1
  })

  sweep("a call that waits under an own total limit, with a second one behind it", {
    make: () => Effect.tap(world({ maxConcurrent: 1, maxQueue: 2 }), (self) => holder(self, 10)),
    body: (self) =>
      Effect.gen(function*() {
        yield* Effect.forkDaemon(Effect.zipRight(Effect.yieldNow(), self.bulkhead(Effect.sleep(1))))
        yield* Policy.compose(Timeout.make(15, { scope: "total" }), self.bulkhead)(call(self, Effect.sleep(20)))
      }).pipe(Effect.exit),
    reaches: 1
  })

  sweep("H08, the same bulkhead twice, the inner one contended", {
    make: () => Effect.tap(world({ maxConcurrent: 2, maxQueue: 2 }), (self) => holder(self, 10)),
    body: (self) => Policy.compose(self.bulkhead, self.bulkhead)(call(self)),
    reaches: 1
  })

  it.live("B02: wherever the waiter is interrupted, the next one runs", () =>
    Effect.gen(function*() {
      const report = yield* OperationSweep.run<World & { next: boolean }, unknown, unknown>({
        make: () =>
          Effect.tap(
            Effect.map(world({ maxConcurrent: 1, maxQueue: 2 }), (self) => ({ ...self, next: false })),
            (self) => holder(self, 10)
          ),
        body: (self) =>
          Effect.zipRight(
            Effect.forkDaemon(Effect.delay(
              self.bulkhead(Effect.sync(() => {
                self.next = true
              })),
              1
            )),
            self.bulkhead(call(self, Effect.sleep(5)))
          ),
        check: (self) => Effect.map(check(self), (complaints) => complaints)
      })
      OperationSweep.assertClean(report)
    }), 60_000)
})
