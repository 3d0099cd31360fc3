/**
 * What a fallback does about a piece of the user's that throws.
 */
import * as Clock from "effect/Clock"
import type * as Exit from "effect/Exit"
import * as Alarm from "../Alarm.js"
import * as Failure from "../Failure.js"
import type * as Outcome from "../Outcome.js"
import { announce, logDefect } from "./announce.js"
import { type AnyFiber, currentFiber } from "./runtime.js"

export const nowOf = (fiber: AnyFiber): number =>
  Alarm.of(fiber.currentDefaultServices.unsafeMap.get(Clock.Clock.key)).now()

/** A piece of the user's threw: it is told and logged, and counts as if it were not there. */
export const fault = (part: string, defect: unknown): void => {
  const fiber = currentFiber()
  announce(fiber, () => ({ _tag: "PolicyFault", at: nowOf(fiber), call: undefined, part, defect }))
  logDefect(fiber, `${part} threw; it counts as if it were not there`, defect)
}

/** What a classifier says. One that throws, or answers with no outcome, counts as if the default one were there. */
export const classified = (
  name: string,
  classify: Failure.Classify,
  exit: Exit.Exit<unknown, unknown>
): Outcome.Outcome => {
  try {
    return Failure.answerOf(classify, exit)
  } catch (defect) {
    fault(`${name}.classify`, defect)
    return Failure.classify(exit)
  }
}
