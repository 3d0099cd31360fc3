/**
 * The sweeps of the time limit: an alarm rung at every operation of a body, alone and together with an outside interruption.
 * One suite for both ways of stopping; the switch between them is module state, so each way has a test file of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import * as Alarm from "../../src/Alarm.js"
import * as Backoff from "../../src/Backoff.js"
import * as CircuitBreaker from "../../src/CircuitBreaker.js"
import * as Deadline from "../../src/Deadline.js"
import type { Region } from "../../src/internal/gate.js"
import * as Retry from "../../src/Retry.js"
import * as Step from "../../src/Step.js"
import * as Timeout from "../../src/Timeout.js"

type AnyFiber = Parameters<Extract<OperationSweep.Action<World>, (...all: Array<never>) => void>>[1]

/** What one run of a body leaves behind to be looked at. */
interface World {
  readonly alarms: Alarm.Alarms
  readonly breaker: CircuitBreaker.CircuitBreaker
  /** Names of the limits that were rung, in order, and the ids by which they interrupted. */
  readonly rung: Array<string>
  readonly privateIds: Set<FiberId.FiberId>
  acquired: number
  released: number
  begun: number
  ended: number
  fiber: AnyFiber | undefined
  /** The call is over: set in the first operation behind it. */
  over: boolean
  /** The call went through the breaker, as its probe. */
  probed: boolean
  interruptedBefore: "call" | "end" | undefined
  readonly complaints: Array<string>
}

const make = Effect.gen(function*() {
  const clock = yield* Effect.clock
  // A breaker that is due: the next call is its probe, so a slot that is not given back is seen.
  const breaker = yield* CircuitBreaker.make({
    name: "swept",
    tripPolicy: CircuitBreaker.consecutive(1),
    openDuration: "1 second",
    openJitter: 0,
    probeTimeout: "1 hour"
  })
  yield* Effect.exit(breaker(Effect.die("trip")))
  yield* Effect.sleep("2 seconds")
  const world: World = {
    alarms: Alarm.of(clock),
    breaker,
    rung: [],
    privateIds: new Set(),
    acquired: 0,
    released: 0,
    begun: 0,
    ended: 0,
    fiber: undefined,
    over: false,
    probed: false,
    interruptedBefore: undefined,
    complaints: []
  }
  return world
}).pipe(Logger.withMinimumLogLevel(LogLevel.None))

interface Heap {
  readonly heap: Array<Alarm.Entry & { readonly interruptor?: FiberId.FiberId; readonly limitSlot?: number }>
}

/** Rings the alarm that is due first, as if its time had come. */
const ring = (world: World, fiber: AnyFiber): void => {
  world.fiber = fiber
  const entry = (world.alarms as unknown as Heap).heap[0]
  if (entry === undefined) {
    return
  }
  const name = entry.limitSlot === undefined || entry.limitSlot < 0
    ? "backoff"
    : (entry as unknown as { region: Region }).region.gates[entry.limitSlot]!.step.policy
  world.rung.push(name)
  world.alarms.cancel(entry)
  entry.ring(0)
  if (entry.interruptor !== undefined) {
    world.privateIds.add(entry.interruptor)
  }
}

const interrupt = (world: World, fiber: AnyFiber): void => {
  world.fiber = fiber
  world.interruptedBefore ??= world.over ? "end" : "call"
  fiber.unsafeInterruptAsFork(FiberId.none)
}

/** Holds something while it runs, and counts. */
const holding = <A, E>(world: World, use: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      world.acquired++
    }),
    () => use,
    () =>
      Effect.sync(() => {
        world.released++
      })
  )

const child = (world: World, work: Effect.Effect<unknown>): Effect.Effect<unknown> =>
  Effect.uninterruptibleMask((restore) => {
    world.begun++
    return Effect.ensuring(
      restore(work),
      Effect.sync(() => {
        world.ended++
      })
    )
  })

interface Case {
  readonly name: string
  readonly policy: (world: World) => Step.Policy<any>
  readonly body: (world: World) => Effect.Effect<unknown, unknown>
  /** What a rung limit comes to: `fails` is seen by the caller as `TimedOut`; `recovers` is tried again and succeeds. */
  readonly rung: "fails" | "recovers"
  /** The call is the probe of the breaker. */
  readonly probes?: boolean
  /** Effect itself forgets the finalizer of an async operation that is interrupted in its own step; it is not looked for. */
  readonly forgetsFinalizer?: boolean
  /** The children answer for their own limits, and in the shared way they outlive an effect that succeeded. */
  readonly childrenHaveLimits?: boolean
  /** All pairs are run, not a sample of them. */
  readonly allPairs?: boolean
}

const outer = Timeout.make("1 hour", { name: "outer" })
const total = Timeout.make("1 hour", { name: "outer", scope: "total" })
const inner = Timeout.make("2 hours", { name: "inner" })

const chain = (world: World) =>
  Effect.succeed(1).pipe(
    Effect.map((n) => n + 1),
    Effect.flatMap((n) => Effect.sync(() => n + world.acquired)),
    Effect.zipRight(Effect.yieldNow()),
    Effect.zipRight(Effect.sleep("10 millis")),
    Effect.zipRight(FiberRef.get(FiberRef.currentLogSpan)),
    Effect.as("done")
  )

const cases: ReadonlyArray<Case> = [
  { name: "a plain chain", policy: () => outer, body: chain, rung: "fails", allPairs: true },
  { name: "a plain chain under a total limit", policy: () => total, body: chain, rung: "fails" },
  {
    name: "acquireRelease in a scope",
    policy: () => outer,
    body: (world) =>
      Effect.scoped(Effect.zipRight(
        Effect.acquireRelease(
          Effect.sync(() => {
            world.acquired++
          }),
          () =>
            Effect.zipRight(
              Effect.sleep("5 millis"),
              Effect.sync(() => {
                world.released++
              })
            )
        ),
        Effect.sleep("10 millis")
      )),
    rung: "fails"
  },
  {
    name: "uninterruptible and interruptible parts",
    policy: () => outer,
    body: (world) =>
      holding(
        world,
        Effect.uninterruptibleMask((restore) =>
          Effect.sleep("3 millis").pipe(
            Effect.zipRight(restore(Effect.sleep("3 millis"))),
            Effect.zipRight(Effect.sleep("3 millis"))
          )
        )
      ),
    rung: "fails"
  },
  {
    name: "an async registration with a finalizer",
    policy: () => outer,
    body: (world) =>
      Effect.async<string>((resume) => {
        world.acquired++
        let open = true
        const close = () => {
          if (open) {
            open = false
            world.released++
          }
        }
        queueMicrotask(() => {
          close()
          resume(Effect.succeed("answer"))
        })
        return Effect.sync(close)
      }),
    rung: "fails",
    forgetsFinalizer: true
  },
  {
    name: "a promise with an abort signal",
    policy: () => outer,
    body: (world) => holding(world, Effect.promise(() => Promise.resolve("a").then((a) => Promise.resolve(a + "b")))),
    rung: "fails"
  },
  {
    name: "forked children and a daemon's answer",
    policy: () => outer,
    body: (world) =>
      Effect.gen(function*() {
        const done = yield* Deferred.make<void>()
        yield* Effect.fork(child(world, Effect.never))
        yield* Effect.fork(child(world, Effect.zipRight(Effect.sleep("5 millis"), Deferred.succeed(done, undefined))))
        yield* Deferred.await(done)
        return yield* Effect.sleep("5 millis")
      }),
    rung: "fails"
  },
  {
    name: "a limit in a limit, the outer one first",
    policy: () => outer,
    body: (world) => inner(holding(world, chain(world))),
    rung: "fails"
  },
  {
    name: "a limit in a limit, the inner one first",
    policy: () => Timeout.make("3 hours", { name: "outer" }),
    body: (world) => inner(holding(world, chain(world))),
    rung: "fails"
  },
  {
    name: "two limits of one policy",
    policy: () => Step.policy([...Step.partsOf(outer), ...Step.partsOf(inner)]),
    body: (world) => holding(world, chain(world)),
    rung: "fails"
  },
  {
    name: "a retry around a limit",
    policy: () =>
      Step.policy([
        ...Step.partsOf(Retry.make({ maxRetries: 3, schedule: Backoff.constant("10 millis", { jitter: "none" }) })),
        ...Step.partsOf(outer)
      ]),
    body: (world) => holding(world, chain(world)),
    rung: "recovers"
  },
  {
    name: "a total limit around a retry that backs off",
    policy: () =>
      Step.policy([
        ...Step.partsOf(total),
        ...Step.partsOf(Retry.make({ maxRetries: 1, schedule: Backoff.constant("2 hours", { jitter: "none" }) })),
        ...Step.partsOf(inner)
      ]),
    body: (world) => holding(world, Effect.zipRight(Effect.yieldNow(), Effect.fail(new Timeout.TimedOut({} as never)))),
    rung: "fails"
  },
  {
    name: "a breaker around a limit",
    policy: (world) => Step.policy([...Step.partsOf(world.breaker), ...Step.partsOf(outer)]),
    body: (world) => holding(world, chain(world)),
    rung: "fails",
    probes: true
  },
  {
    name: "a limit around a breaker around a retry",
    policy: (world) =>
      Step.policy([
        ...Step.partsOf(total),
        ...Step.partsOf(world.breaker),
        ...Step.partsOf(Retry.make({ maxRetries: 2, schedule: Backoff.none })),
        ...Step.partsOf(inner)
      ]),
    body: (world) => holding(world, chain(world)),
    rung: "fails",
    probes: true
  },
  {
    name: "policies nested in forks",
    policy: () => outer,
    body: (world) =>
      Effect.gen(function*() {
        yield* Effect.fork(child(world, Effect.ignore(inner(Effect.never))))
        yield* Effect.yieldNow()
        return yield* inner(holding(world, Effect.sleep("5 millis")))
      }),
    rung: "fails",
    childrenHaveLimits: true
  },
  {
    name: "an effect repeated by a schedule",
    policy: () => outer,
    body: (world) => Effect.repeat(holding(world, Effect.yieldNow()), Schedule.recurs(2)),
    rung: "fails"
  }
]

const pendingOf = (fiber: AnyFiber): Cause.Cause<never> => fiber.getFiberRef(FiberRef.interruptedCause)

const idsIn = (cause: Cause.Cause<unknown>): ReadonlyArray<FiberId.FiberId> =>
  Cause.reduceWithContext<undefined, unknown, ReadonlyArray<FiberId.FiberId>>(cause, undefined, {
    emptyCase: () => [],
    failCase: () => [],
    dieCase: () => [],
    interruptCase: (_, id) => [id],
    sequentialCase: (_, left, right) => [...left, ...right],
    parallelCase: (_, left, right) => [...left, ...right]
  })

/** Runs the call and then looks at what it left in the fiber, in the first operation behind it. */
const observed = (world: World, one: Case, core: Effect.Effect<unknown, unknown>): Effect.Effect<unknown, unknown> =>
  Effect.gen(function*() {
    const inherited = yield* FiberRef.get(Deadline.current)
    const exit = yield* Effect.exit(core)
    yield* Effect.withFiberRuntime((fiber) => {
      world.over = true
      if (fiber.getFiberRef(Deadline.current) !== inherited) {
        world.complaints.push("the deadline of the fiber was not restored")
      }
      if (exit._tag === "Failure" && world.begun !== world.ended) {
        world.complaints.push(`${world.begun - world.ended} children were left when the caller went on`)
      }
      if (world.acquired !== world.released && one.forgetsFinalizer !== true) {
        world.complaints.push(`${world.acquired - world.released} resources were held when the caller went on`)
      }
      if (world.interruptedBefore === undefined && !Cause.isEmpty(pendingOf(fiber as AnyFiber))) {
        world.complaints.push("an interruption was left pending")
      }
      return Effect.void
    })
    yield* Effect.yieldNow()
    yield* Effect.yieldNow()
    return yield* exit
  })

const check = (one: Case) => (world: World, exit: Exit.Exit<unknown, unknown>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function*() {
    const complaints = [...world.complaints]
    const cause = Exit.isFailure(exit) ? exit.cause : Cause.empty
    // The sweep of the control interrupts by itself, with the id that nobody else uses.
    const interrupted = world.interruptedBefore !== undefined || idsIn(cause).includes(FiberId.none)
    const limits = world.rung.filter((name) => name !== "backoff")
    if (interrupted && world.interruptedBefore === "call" && !Cause.isInterrupted(cause)) {
      complaints.push(`an outside interruption was lost: ${JSON.stringify(exit)}`)
    }
    if (!interrupted && Cause.isInterrupted(cause)) {
      complaints.push("the caller was interrupted though nobody outside asked for it")
    }
    if (idsIn(cause).some((id) => world.privateIds.has(id))) {
      complaints.push("a private id came out of the call")
    }
    if (world.fiber !== undefined && idsIn(pendingOf(world.fiber)).some((id) => world.privateIds.has(id))) {
      complaints.push("a private id stayed in the fiber")
    }
    if (!interrupted && limits.length > 0 && !(one.childrenHaveLimits === true && !limits.includes("outer"))) {
      const failures = Array.from(Cause.failures(cause)) as ReadonlyArray<Timeout.TimedOut>
      if (one.rung === "fails" && !(failures.length === 1 && failures[0]?._tag === "TimedOut")) {
        complaints.push(`rung, but ended with ${JSON.stringify(exit)}`)
      }
      if (one.rung === "fails" && !limits.includes(failures[0]?.policy ?? "")) {
        complaints.push(`${failures[0]?.policy} answered, but ${limits.join(", ")} rang`)
      }
      if (one.rung === "recovers" && !Exit.isSuccess(exit)) {
        complaints.push(`one attempt was rung and the next did not answer: ${JSON.stringify(exit)}`)
      }
    }
    if (
      !interrupted && limits.length === 0 && world.rung.length === 0 && one.name.indexOf("backs off") < 0 &&
      !Exit.isSuccess(exit)
    ) {
      complaints.push(`nothing rang, but it failed: ${JSON.stringify(exit)}`)
    }
    if (world.acquired !== world.released) {
      complaints.push(`${world.acquired} acquired, ${world.released} released`)
    }
    if (world.begun !== world.ended) {
      complaints.push(`${world.begun} children begun, ${world.ended} ended`)
    }
    if (world.alarms.size !== 0) {
      complaints.push(`${world.alarms.size} alarms are left`)
    }
    const snapshot = yield* world.breaker.snapshot
    if (snapshot.probesInFlight !== 0) {
      complaints.push("the probe slot is lost")
    }
    if (world.probed) {
      // A call that was cut before anything was sent says nothing of the dependency.
      const cut = world.acquired > 0 ? ["Open"] : ["Open", "HalfOpen"]
      const expected = limits.length > 0 ? cut : Exit.isSuccess(exit) ? ["Closed"] : ["Open", "HalfOpen"]
      if (!interrupted && !expected.includes(snapshot.state._tag)) {
        complaints.push(`the breaker is ${snapshot.state._tag}, expected ${expected.join(" or ")}`)
      }
      if (interrupted && limits.length === 0 && snapshot.trips !== 1) {
        complaints.push("an outside interruption tripped the breaker")
      }
    }
    return complaints
  })

/** Nothing may hide behind a control that fails itself: no body here stands on a bad point of Effect's own. */
const clean = (report: OperationSweep.Report): void => {
  OperationSweep.assertClean(report)
  assert.deepStrictEqual(report.excluded, [])
  assert.isAbove(report.operations, 10)
}

/** The whole suite for the way that is switched on. */
export const stoppingSweep = (way: string): void => {
  describe(`a time limit that stops an effect in ${way}`, () => {
    for (const one of cases) {
      const options = {
        make: () => make,
        body: (world: World, mark: OperationSweep.Mark) =>
          observed(
            world,
            one,
            Effect.suspend(() => {
              world.probed = one.probes === true
              return one.policy(world)(mark(one.body(world)) as Effect.Effect<unknown, unknown>)
            })
          ),
        control: (world: World, mark: OperationSweep.Mark) => observed(world, one, mark(one.body(world))),
        check: check(one),
        fibers: "all" as const
      }
      const maximumPairs = one.allPairs === true ? 100_000 : 120
      const sweep = (name: string, actions: Pick<OperationSweep.Options<World, unknown, unknown>, "at" | "and">) =>
        it.live(name, () => Effect.map(OperationSweep.run({ ...options, ...actions, maximumPairs }), clean), 120_000)

      sweep(`${one.name}: nothing leaks wherever it is interrupted from outside`, { at: interrupt })
      sweep(`${one.name}: ends with its error and leaves nothing wherever the alarm rings`, { at: ring })
      sweep(`${one.name}: loses no outside interruption wherever it meets the alarm`, { at: ring, and: interrupt })
      sweep(`${one.name}: an alarm after an outside interruption leaves nothing`, { at: interrupt, and: ring })
    }
  })
}
