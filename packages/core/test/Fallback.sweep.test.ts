import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Fallback from "@holdfast/core/Fallback"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"

/** A down-going primary that takes a while and holds something. */
const primary = (world: { held: number; primaries: number }) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      world.held++
      world.primaries++
    }),
    () => Effect.zipRight(Effect.sleep("1 second"), Effect.fail("down")),
    () => Effect.sync(() => world.held--)
  )

const clean = (report: OperationSweep.Report) => {
  OperationSweep.assertClean(report)
  assert.isAbove(report.operations, 5)
  assert.isAbove(report.runs, 10)
}

describe("Fallback, interrupted at every operation", () => {
  it.live("tiers: nothing stays held, and no tier runs twice", () =>
    Effect.map(
      OperationSweep.run({
        make: () => Effect.sync(() => ({ held: 0, primaries: 0, first: 0, second: 0 })),
        body: (world) => {
          const tier = (name: "first" | "second", end: Effect.Effect<string, string>) =>
            Fallback.tier({
              name,
              kind: "degrade",
              run: () =>
                Effect.acquireUseRelease(
                  Effect.sync(() => {
                    world.held++
                    world[name]++
                  }),
                  () => Effect.zipRight(Effect.sleep("10 millis"), end),
                  () => Effect.sync(() => world.held--)
                )
            })
          return Fallback.tiers(tier("first", Effect.fail("miss")), tier("second", Effect.succeed("lamp")))(
            primary(world)
          )
        },
        check: (world, exit) => [
          ...(world.held === 0 ? [] : [`${world.held} held`]),
          ...(world.primaries <= 1 && world.first <= 1 && world.second <= 1 ? [] : ["ran twice"]),
          ...(Exit.isSuccess(exit) || Exit.isInterrupted(exit) ? [] : ["an interruption became a failure"])
        ]
      }),
      clean
    ), 60_000)

  it.live("tiers: a defect at any operation of a tier leaves the primary error and the next tier", () =>
    Effect.map(
      OperationSweep.run({
        at: "defect",
        make: () => Effect.sync(() => ({ held: 0 })),
        body: (world) =>
          Fallback.tiers(
            Fallback.tier({
              name: "first",
              kind: "degrade",
              run: () =>
                Effect.acquireUseRelease(
                  Effect.sync(() => world.held++),
                  () => Effect.zipRight(Effect.sleep("10 millis"), Effect.succeed("lamp")),
                  () => Effect.sync(() => world.held--)
                )
            }),
            Fallback.value("default")
          )(Effect.fail("down")),
        check: (world, exit) => [
          ...(world.held === 0 ? [] : ["held"]),
          ...(Exit.isSuccess(exit) || exit.cause._tag !== "Interrupt" ? [] : ["a defect became an interruption"])
        ]
      }),
      clean
    ), 60_000)

  it.live("cached: what is remembered is the answer of the primary, whole or not at all", () =>
    Effect.map(
      OperationSweep.run({
        make: () =>
          Effect.map(
            Fallback.cached({ key: (user: string) => user, capacity: 2, serveFor: "1 hour" }),
            (cache) => ({ cache })
          ),
        body: ({ cache }) => {
          const fallback = Fallback.tiers(cache.tier, Fallback.value("none"))
          return Effect.gen(function*() {
            const first = yield* fallback.with("u-1")(Effect.zipRight(Effect.sleep("1 second"), Effect.succeed("u-1")))
            const second = yield* fallback.with("u-1")(Effect.zipRight(Effect.sleep("1 second"), Effect.fail("down")))
            return [first, second]
          })
        },
        check: ({ cache }, exit) =>
          Effect.gen(function*() {
            const fallback = Fallback.tiers(cache.tier, Fallback.value("none"))
            const own = yield* Effect.orDie(fallback.with("u-1")(Effect.fail("down")))
            const other = yield* Effect.orDie(fallback.with("u-2")(Effect.fail("down")))
            return [
              ...(own === "u-1" || own === "none" ? [] : [`serves ${own}`]),
              ...(other === "none" ? [] : [`serves another user ${other}`]),
              ...(Exit.isSuccess(exit) && (own !== "u-1" || exit.value[1] !== "u-1") ? ["forgot"] : [])
            ]
          })
      }),
      clean
    ), 60_000)

  interface Orders {
    readonly queue: Fallback.DeferralQueue<string>
    readonly done: Array<string>
    readonly scope: Scope.CloseableScope
    held: number
    primaries: number
  }

  const orders = (drainFor: number): Effect.Effect<Orders> =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const done: Array<string> = []
      const queue = yield* Scope.extend(
        Fallback.DeferralQueue.make({
          capacity: 3,
          drainFor,
          schedule: Backoff.constant("1 second", { jitter: "none" }),
          settle: (order: string) => Effect.zipRight(Effect.sleep("2 seconds"), Effect.sync(() => done.push(order)))
        }),
        scope
      )
      return { queue, done, scope, held: 0, primaries: 0 }
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))

  it.live("defer: an order is accepted once or not at all, and an accepted one is settled once", () =>
    Effect.map(
      OperationSweep.run({
        make: () => orders(0),
        body: (world) => {
          const fallback = Fallback.tiers(Fallback.defer(world.queue))
          return Effect.zipRight(fallback.with("o-1")(primary(world)), fallback.with("o-2")(primary(world)))
        },
        check: ({ done, queue, scope }, exit) =>
          Effect.gen(function*() {
            const pending = yield* queue.pending
            const settled = yield* queue.settled
            yield* Scope.close(scope, Exit.void)
            const twice = new Set(done).size !== done.length
            return [
              ...(pending === 0 ? [] : [`${pending} pending for ever`]),
              ...(settled === done.length ? [] : ["miscounted"]),
              ...(twice ? ["settled twice"] : []),
              ...(Exit.isSuccess(exit) && done.length !== 2 ? ["an order is lost"] : []),
              ...(done[0] === "o-2" ? ["an order came before an earlier one"] : [])
            ]
          })
      }),
      clean
    ), 60_000)

  for (const drainFor of [0, 1000, 60_000]) {
    it.live(`defer: closing within ${drainFor} ms, at any operation of any fiber, loses no order`, () =>
      Effect.map(
        OperationSweep.run({
          fibers: "all",
          make: () => orders(drainFor),
          at: (world) => {
            Effect.runFork(Scope.close(world.scope, Exit.void))
          },
          modes: ["inline", "yield"],
          body: (world) =>
            Effect.gen(function*() {
              const offered = yield* Effect.forEach(
                ["o-1", "o-2", "o-3"],
                (order) => Effect.option(world.queue.offer(order))
              )
              yield* Effect.sleep("3 seconds")
              return offered.filter(Option.isSome).length
            }),
          check: ({ done, queue }, exit) =>
            Effect.gen(function*() {
              const left = (yield* queue.unsettled).map((one) => one.job)
              const settled = yield* queue.settled
              const accepted = Exit.isSuccess(exit) ? exit.value : -1
              // A job cut after its last effect and before its end is both done and unsettled: at least once, as it
              // says.
              return [
                ...(new Set(left).size === left.length && new Set(done).size === done.length ? [] : ["twice"]),
                ...(settled + left.length === accepted
                  ? []
                  : [`${accepted} accepted, ${settled} + ${left.length} known`]),
                ...(new Set([...done, ...left]).size === accepted ? [] : ["lost"]),
                ...(done.length - settled <= 1 ? [] : [`${done.length} done, ${settled} settled`]),
                ...(drainFor === 60_000 && left.length > 0 ? [`${left.join()} not drained`] : [])
              ]
            })
        }),
        (report) => {
          assert.deepStrictEqual(report.failures, [])
          assert.deepStrictEqual(report.hangs, [])
          assert.isAbove(report.operations, 10)
        }
      ), 60_000)
  }

  it.live("all: every branch has released what it held before the caller goes on", () =>
    Effect.map(
      OperationSweep.run({
        make: () => Effect.sync(() => ({ held: 0, ended: 0 })),
        body: (world) => {
          const branch = <A, E>(end: Effect.Effect<A, E>, duration: string) =>
            Effect.acquireUseRelease(
              Effect.sync(() => world.held++),
              () => Effect.zipRight(Effect.sleep(duration as any), end),
              () =>
                Effect.zipRight(
                  Effect.sleep("100 millis"),
                  Effect.sync(() => {
                    world.held--
                    world.ended++
                  })
                )
            )
          return Effect.ensuring(
            Fallback.all({
              product: Fallback.branch(branch(Effect.succeed("lamp"), "1 second"), { criticality: "critical" }),
              stock: Fallback.branch(branch(Effect.fail("down"), "10 millis"), { criticality: "important" }),
              reviews: Fallback.branch(branch(Effect.succeed(5), "3 seconds"), { criticality: "optional" })
            }),
            Effect.suspend(() => world.held === 0 ? Effect.void : Effect.dieMessage(`${world.held} held`))
          )
        },
        check: (world, exit, { sleepers }) => [
          ...(world.held === 0 ? [] : [`${world.held} held`]),
          ...(sleepers === 0 ? [] : ["a branch lives on"]),
          ...(Exit.isSuccess(exit) && (world.ended !== 3 || exit.value.product !== "lamp") ? ["not waited for"] : []),
          ...(Exit.isSuccess(exit) || Exit.isInterrupted(exit) ? [] : ["not awaited"])
        ]
      }),
      clean
    ), 60_000)
})
