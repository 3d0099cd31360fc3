import { assert, describe, it } from "@effect/vitest"
import * as Alarm from "@holdfast/core/Alarm"
import * as Backoff from "@holdfast/core/Backoff"
import * as Chaos from "@holdfast/core/Chaos"
import * as ChaosCheck from "@holdfast/core/ChaosCheck"
import * as ChaosExperiment from "@holdfast/core/ChaosExperiment"
import * as Fault from "@holdfast/core/Fault"
import * as Policy from "@holdfast/core/Policy"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { active } from "../src/internal/chaosInjector.js"

interface World {
  readonly policy: Policy.Standard<unknown>
  readonly chaos: Chaos.Control
  readonly withChaos: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  inside: number
}

const quiet = Logger.remove(Logger.defaultLogger)

/** A policy with every slot that keeps something, and chaos that is on before the sweep begins. */
const world = (faults: Chaos.LayerOptions["faults"], delay = 5): Effect.Effect<World> =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const layer = Chaos.layer({ seed: 1, faults, blastRadius: { concurrent: 1 } })
    const context = yield* Effect.orDie(Layer.buildWithScope(layer, scope))
    const injectors = yield* FiberRef.get(active)
    const policy = yield* Policy.standard("swept", {
      totalTimeout: 500,
      bulkhead: { maxConcurrent: 1 },
      retry: { maxRetries: 1, schedule: Backoff.constant(delay) },
      rateLimiter: { rate: 1000, capacity: 1000 },
      attemptTimeout: 50,
      chaos: { answer: () => undefined }
    })
    const withChaos: World["withChaos"] = (effect) => Effect.locally(effect, active, injectors)
    return { policy, chaos: Context.get(context, Chaos.Chaos), withChaos, inside: 0 }
  })

const call = (self: World) =>
  Effect.acquireUseRelease(
    Effect.sync(() => self.inside++),
    () => Effect.yieldNow(),
    () => Effect.sync(() => self.inside--)
  )

/** Nothing is held any more. */
const held = (self: World) =>
  Effect.gen(function*() {
    const { active: permits, queued } = yield* self.policy.bulkhead!.snapshot
    const alarms = Alarm.of(yield* Effect.clock).size
    return [
      self.inside === 0 ? "" : "the call has not been left",
      permits + queued === 0 ? "" : `${permits} permits are out`,
      alarms === 0 ? "" : `${alarms} alarms are left`
    ].filter((complaint) => complaint !== "")
  })

/** The one place of the blast radius is free too: the next call is held in it. */
const check = (self: World) =>
  Effect.gen(function*() {
    const complaints = yield* held(self)
    const before = (yield* self.chaos.report).dependencies["swept"]?.heldBack ?? 0
    yield* Effect.scoped(Effect.zipRight(
      self.chaos.inject(Fault.latency(1)),
      self.withChaos(Effect.exit(self.policy(Effect.void)))
    )).pipe(Effect.orDie)
    const after = (yield* self.chaos.report).dependencies["swept"]!.heldBack
    return after === before ? complaints : [...complaints, "a place in the blast radius is lost"]
  })

const sweep = (name: string, options: {
  readonly faults: Chaos.LayerOptions["faults"]
  readonly reaches: number
  /** Two interruptions at all pairs of points are many runs: a sample of them, and not for every body. */
  readonly pairs?: number
  readonly defect?: boolean
}) => {
  const interrupt = { at: "interrupt" } as const
  const twice = { at: "interrupt", and: "interrupt", maximumPairs: options.pairs ?? 0 } as const
  const actions = [
    ["interrupted", interrupt],
    ["killed by a defect", options.defect === true ? { at: "defect" } as const : undefined],
    ["interrupted twice", options.pairs === undefined ? undefined : twice]
  ] as const
  for (const [action, what] of actions) {
    if (what === undefined) continue
    it.live(
      `${name}: nothing leaks or hangs when it is ${action} at any operation and idle point`,
      () =>
        Effect.gen(function*() {
          const report = yield* OperationSweep.run<World, unknown, unknown>({
            make: () => world(options.faults),
            body: (self) => self.withChaos(Effect.exit(self.policy(call(self)))),
            check,
            ...what
          })
          assert.isAbove(report.operations, 5)
          assert.isAtLeast(report.idlePoints, options.reaches)
          OperationSweep.assertClean(report)
        }).pipe(Effect.provide(quiet)),
      60_000
    )
  }
}

const first = { when: ({ attempt }: { readonly attempt: number }) => attempt === 1 }

describe("Chaos under an operation sweep", () => {
  sweep("a call that comes late", { faults: Fault.latency(10), reaches: 1, defect: true, pairs: 100 })
  sweep("a call that hangs once and then goes through", { faults: Fault.hang(first), reaches: 2 })
  sweep("a call that fails late, is tried again, and gets a wrong answer", {
    faults: [Fault.latency(10, first), Fault.failure(first), Fault.answer()],
    reaches: 2,
    defect: true
  })

  it.live(
    "a call that fails, is tried again and dies, by the live clock: nothing leaks when it is interrupted",
    () =>
      Effect.gen(function*() {
        const report = yield* OperationSweep.run<World, unknown, unknown>({
          make: () => world([Fault.failure(first), Fault.defect()], 0),
          body: (self) => self.withChaos(Effect.exit(self.policy(call(self)))),
          check: held,
          clock: "live",
          modes: ["inline", "yield"]
        })
        assert.isAbove(report.operations, 5)
        OperationSweep.assertClean(report)
      }).pipe(Effect.provide(quiet)),
    60_000
  )

  for (const and of [undefined, "interrupt"] as const) {
    it.live(
      `an experiment: its fault is taken out wherever it is interrupted${and === undefined ? "" : " twice"}`,
      () =>
        Effect.gen(function*() {
          const report = yield* OperationSweep.run<World, ChaosExperiment.Verdict, unknown>({
            make: () => world([]),
            body: (self) => {
              const probe = Effect.orElseSucceed(self.policy(call(self)), () => "without")
              const loads = ChaosCheck.every("every page loads", ({ exit }: ChaosCheck.Observation<unknown, unknown>) =>
                Exit.isSuccess(exit))
              const experiment = ChaosExperiment.make(probe, {
                name: "swept",
                hypothesis: "If the dependency is away, the page loads all the same.",
                faults: [Fault.latency(10, first), Fault.failure({ dependency: "swept" })],
                steadyState: [loads],
                expect: [loads],
                probes: 2
              })
              return self.withChaos(Effect.provideService(experiment.run, Chaos.Chaos, self.chaos))
            },
            check: (self, ended) =>
              Effect.gen(function*() {
                const complaints = [...(yield* check(self))]
                if (Exit.isSuccess(ended) && (ended.value.result !== "held" || ended.value.hits === 0)) {
                  complaints.push(ended.value.text)
                }
                const exit = yield* self.withChaos(Effect.exit(self.policy(Effect.succeed("an answer"))))
                return Exit.isSuccess(exit) ? complaints : [...complaints, "the fault is still in"]
              }),
            at: "interrupt",
            ...(and === undefined ? {} : { and, maximumPairs: 100 })
          })
          assert.isAbove(report.operations, 50)
          assert.isAtLeast(report.idlePoints, 2)
          OperationSweep.assertClean(report)
        }).pipe(Effect.provide(quiet)),
      120_000
    )
  }
})
