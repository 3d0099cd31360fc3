/**
 * One run of a sweep: a world, a scheduler that counts the operations of the body, and what happens at one of them.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scheduler from "effect/Scheduler"
import * as Supervisor from "effect/Supervisor"
import * as Tracer from "effect/Tracer"
import { type Action, type Complaints, type Mark, type Mode, type Options, SweepDefect } from "../OperationSweep.js"
import * as VirtualClock from "../VirtualClock.js"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** @internal */
export interface Trigger<World> {
  readonly mode: Mode
  readonly position: number
  readonly act: Action<World>
}

class SweepScheduler implements Scheduler.Scheduler {
  operations = 0
  counted: AnyFiber | "all" | undefined = undefined
  private parked: { readonly fiber: AnyFiber; readonly act: () => void } | undefined = undefined
  private readonly base: VirtualClock.TurnScheduler
  private readonly atOperation: (operation: number, mode: Mode, fiber: AnyFiber) => (() => void) | undefined

  constructor(
    base: VirtualClock.TurnScheduler,
    atOperation: (operation: number, mode: Mode, fiber: AnyFiber) => (() => void) | undefined
  ) {
    this.base = base
    this.atOperation = atOperation
  }

  shouldYield(fiber: AnyFiber): number | false {
    if (this.counted === fiber || this.counted === "all") {
      const operation = ++this.operations
      this.atOperation(operation, "inline", fiber)?.()
      const act = this.atOperation(operation, "yield", fiber)
      if (act !== undefined) {
        this.parked = { fiber, act }
        return fiber.getFiberRef(FiberRef.currentSchedulingPriority)
      }
    }
    return this.base.shouldYield(fiber)
  }

  scheduleTask(task: Scheduler.Task, priority: number, fiber?: AnyFiber) {
    const parked = this.parked
    if (parked === undefined || parked.fiber !== fiber) return this.base.scheduleTask(task, priority, fiber)
    this.parked = undefined
    this.base.later(1, () => {
      parked.act()
      this.base.later(1, task)
    })
  }
}

/** @internal */
export interface Run {
  readonly operations: number
  readonly idlePoints: number
  /** Whether every trigger happened, and where, counted from the latest mark. */
  readonly reached: boolean
  readonly matches: ReadonlyArray<string>
  readonly hung: boolean
  readonly complaints: ReadonlyArray<string>
}

const complaintsOf = (found: Complaints): ReadonlyArray<string> =>
  found === undefined || found === "" ? [] : typeof found === "string" ? [found] : found

/**
 * One run of the body with its triggers, in a world of its own.
 *
 * @internal
 */
export const once = <World, A, E>(
  options: Options<World, A, E>,
  body: (world: World, mark: Mark) => Effect.Effect<A, E>,
  check: Options<World, A, E>["check"],
  triggers: ReadonlyArray<Trigger<World>>
): Effect.Effect<Run> =>
  Effect.gen(function*() {
    const live = options.clock === "live"
    const maximumSteps = options.maximumSteps ?? 10_000
    const time = yield* VirtualClock.make({ quietTurns: live ? 100 : 2, maximumTurns: 10_000 })
    const runtime = yield* Effect.runtime<never>()
    const complaints: Array<string> = []
    const matches: Array<string> = []
    const held = {} as { world: World; fiber: Fiber.RuntimeFiber<A, E> }
    let dying: AnyFiber | undefined
    let idlePoints = 0
    let marked = { since: "start", operations: 0, idlePoints: 0 }

    const happen = (trigger: Trigger<World>, on: AnyFiber) => {
      const from = trigger.mode === "idle" ? marked.idlePoints : marked.operations
      matches.push(`${trigger.mode}, ${trigger.position - from} since ${marked.since}`)
      if (trigger.act === "interrupt") held.fiber.unsafeInterruptAsFork(FiberId.none)
      else if (trigger.act === "defect") dying = on
      else {
        try {
          trigger.act(held.world, held.fiber)
        } catch (thrown) {
          complaints.push(`the action threw ${String(thrown)}`)
        }
      }
    }
    const mayHappen = (trigger: Trigger<World>, on: AnyFiber) =>
      trigger.act !== "defect" || RuntimeFlags.interruptible(
        (on as AnyFiber & { readonly currentRuntimeFlags: RuntimeFlags.RuntimeFlags }).currentRuntimeFlags
      )
    const scheduler = new SweepScheduler(time.scheduler, (operation, mode, on) => {
      const due = triggers.filter((trigger) =>
        trigger.mode === mode && trigger.position === operation && mayHappen(trigger, on)
      )
      return due.length === 0 ? undefined : () => due.forEach((trigger) => happen(trigger, on))
    })
    const throwing = (tracer: Tracer.Tracer) =>
      Tracer.make({
        span: (...all) => tracer.span(...all),
        context: (f, on) => {
          if (dying !== on) return tracer.context(f, on)
          dying = undefined
          throw new SweepDefect("a defect of the operation sweep")
        }
      })
    const started = Supervisor.unsafeTrack()
    const launch = <B, F>(effect: Effect.Effect<B, F>, supervisor: Supervisor.Supervisor<unknown> = Supervisor.none) =>
      Runtime.runFork(runtime)(effect, {
        scheduler,
        immediate: false,
        // Set from outside: the same with `Effect.withClock` would add operations of its own to the count.
        updateRefs: (refs, fiberId) => {
          const services = FiberRefs.getOrDefault(refs, DefaultServices.currentServices)
          const supervised = FiberRefs.updateAs(refs, {
            fiberId,
            fiberRef: FiberRef.currentSupervisor,
            value: FiberRefs.getOrDefault(refs, FiberRef.currentSupervisor).zip(supervisor)
          })
          return FiberRefs.updateAs(supervised, {
            fiberId,
            fiberRef: DefaultServices.currentServices,
            value: Context.add(services, Clock.Clock, live ? Clock.make() : time.clock).pipe(
              Context.add(Tracer.Tracer, throwing(Context.get(services, Tracer.Tracer)))
            )
          })
        }
      })
    /** Runs a fiber to its end; tells why not if it hangs. */
    const drive = (driven: AnyFiber, onIdle: () => boolean): Effect.Effect<string | undefined> =>
      Effect.gen(function*() {
        for (let steps = 0; steps < maximumSteps; steps++) {
          yield* time.runToIdle
          if (driven.unsafePoll() !== null) return undefined
          if (onIdle()) continue
          if (live || !(yield* time.step)) {
            return `hangs: everything is idle ${live ? "and stays so" : `at ${time.now()} ms and nobody sleeps`}`
          }
        }
        return `hangs: has not ended after ${maximumSteps} steps`
      }).pipe(Effect.catchAllDefect((defect) => Effect.succeed(`hangs: ${String(defect)}`)))
    const result = <B, F>(part: string, effect: Effect.Effect<B, F>) =>
      Effect.gen(function*() {
        const launched = launch(effect)
        const hang = yield* drive(launched, () => false)
        const exit = launched.unsafePoll()
        if (hang !== undefined || exit === null) return yield* Effect.dieMessage(`${part} ${hang}`)
        return yield* exit
      })

    const world = held.world = yield* Effect.orDie(result("make", Effect.suspend(options.make)))
    const mark: Mark = (effect) =>
      Effect.suspend(() => {
        marked = { since: "mark", operations: scheduler.operations, idlePoints }
        return effect
      })
    const swept = launch(Effect.suspend(() => body(world, mark)), started)
    held.fiber = swept
    scheduler.counted = options.fibers === "all" ? "all" : swept
    const hang = yield* drive(swept, () => {
      idlePoints++
      const due = triggers.filter((trigger) =>
        trigger.mode === "idle" && trigger.position === idlePoints && trigger.act !== "defect"
      )
      due.forEach((trigger) => happen(trigger, swept))
      return due.length > 0
    })
    scheduler.counted = undefined
    dying = undefined
    const exit = swept.unsafePoll()
    const sleepers = time.sleepers()
    const fibers = (yield* started.value).length
    if (exit === null) {
      complaints.unshift(hang ?? "hangs")
      swept.unsafeInterruptAsFork(FiberId.none)
    } else {
      const settled = yield* Effect.exit(Effect.gen(function*() {
        let steps = options.settle ?? 100
        while (steps-- > 0 && (yield* time.step)) continue
        const found = check(world, exit, { sleepers, fibers })
        complaints.push(...complaintsOf(Effect.isEffect(found) ? yield* result("check", found) : found))
      }))
      if (Exit.isFailure(settled)) complaints.push(`check failed: ${Cause.pretty(settled.cause)}`)
    }
    return {
      operations: scheduler.operations,
      idlePoints,
      reached: matches.length === triggers.length,
      matches,
      hung: exit === null,
      complaints
    }
  })
