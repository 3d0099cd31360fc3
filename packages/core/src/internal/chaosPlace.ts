/**
 * The place for faults in a policy: what an attempt that comes by meets there while somebody injects.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HashSet from "effect/HashSet"
import type * as Call from "../Call.js"
import type { Kind } from "../Fault.js"
import type { Step } from "../Step.js"
import { active, type Hit, none } from "./chaosInjector.js"
import type { FaultPlace, Passage } from "./gate.js"
import type { AnyEffect, AnyFiber } from "./runtime.js"

/**
 * What the faults of a place look like.
 *
 * @internal
 */
export interface Looks {
  readonly failure: (call: Call.Call) => unknown
  readonly defect: (call: Call.Call) => unknown
  readonly answer: ((call: Call.Call) => unknown) | undefined
}

/** What hits one attempt, from all injectors. */
interface Plan {
  readonly hits: ReadonlyArray<Hit>
  readonly latencies: ReadonlyArray<number>
  readonly end: Hit["end"]
}

/** @internal */
export class Place implements FaultPlace {
  readonly _tag = "FaultPlace"
  readonly step: Step
  private readonly looks: Looks

  constructor(step: Step, looks: Looks) {
    this.step = step
    this.looks = looks
  }

  isActive(fiber: AnyFiber): boolean {
    const injectors = fiber.getFiberRef(active)
    return injectors !== none && HashSet.some(injectors, (injector) => injector.rules.length > 0)
  }

  /** Decided and counted in one uninterruptible step with the beginning of the wait, so that no place in the blast radius is lost. */
  disturb(passage: Passage, fiber: AnyFiber, rest: () => AnyEffect): AnyEffect {
    return Effect.uninterruptibleMask((restore) => {
      const call = passage.describe()
      const plan = this.plan(passage, fiber, call)
      if (plan === undefined) {
        return restore(rest())
      }
      const { end, hits, latencies } = plan
      const ending = end === undefined || end === "hang" ? undefined : this.ending(end, call, passage)
      const told = end === "hang" || ending !== undefined ? end : undefined
      // Whatever happens now plays the dependency: to everybody outside, the call was sent.
      passage.callState.sends++
      latencies.forEach((millis) => this.tell(passage, call, "latency", Duration.millis(millis)))
      if (told !== undefined) {
        this.tell(passage, call, told, undefined)
      }
      const next = (): AnyEffect => {
        if (ending !== undefined) {
          return ending
        }
        // It is counted again where it begins.
        passage.callState.sends--
        return restore(rest())
      }
      if (latencies.length === 0 && end !== "hang") {
        return next()
      }
      const delay = Effect.sleep(latencies.reduce((total, millis) => total + millis, 0))
      const wait = end !== "hang" ? delay : latencies.length === 0 ? Effect.never : Effect.zipRight(delay, Effect.never)
      const release = Effect.sync(() =>
        hits.forEach(({ holds, injector }) => holds ? injector.radius.release() : undefined)
      )
      return Effect.flatMap(Effect.ensuring(restore(wait), release), next)
    })
  }

  private plan(passage: Passage, fiber: AnyFiber, call: Call.Call): Plan | undefined {
    const injectors = [...fiber.getFiberRef(active)].sort((left, right) => left.id - right.id)
    const hits: Array<Hit> = []
    for (const injector of injectors) {
      const hit = injector.hit({
        dependency: this.step.dependency ?? call.dependency ?? this.step.policy,
        call,
        now: passage.now,
        hasAnswer: this.looks.answer !== undefined,
        threw: (defect) => passage.fault(this.step.policy, defect)
      })
      if (hit !== undefined) {
        hits.push(hit)
        if (hit.end !== undefined) {
          break
        }
      }
    }
    return hits.length === 0
      ? undefined
      : { hits, latencies: hits.flatMap((hit) => hit.latencies), end: hits[hits.length - 1]!.end }
  }

  private tell(passage: Passage, call: Call.Call, fault: Kind, delay: Duration.Duration | undefined): void {
    if (passage.callState.observed) {
      passage.tell({ _tag: "ChaosInjected", at: passage.now, call, chaos: this.step.policy, fault, delay })
    }
  }

  /** A function of the user's that throws is reported, and the call goes on without the fault. */
  private ending(end: "failure" | "defect" | "answer", call: Call.Call, passage: Passage): AnyEffect | undefined {
    try {
      switch (end) {
        case "failure":
          return Exit.fail(this.looks.failure(call))
        case "defect":
          return Exit.die(this.looks.defect(call))
        case "answer":
          return Exit.succeed(this.looks.answer!(call))
      }
    } catch (defect) {
      passage.fault(this.step.policy, defect)
      return undefined
    }
  }
}
