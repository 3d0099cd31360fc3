/** Events that a listener can be told. */
import * as Outcome from "@holdfast/core/Outcome"
import type * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Duration from "effect/Duration"

export const callOf = (
  dependency: string | undefined,
  operation?: string | undefined
): ResilienceEvent.AttemptEnded["call"] => ({
  dependency,
  operation,
  requestId: undefined,
  attempt: 1,
  maxAttempts: 1,
  repeatable: true,
  key: undefined,
  criticality: "important",
  deadline: undefined
})

export const ended = (
  dependency: string | undefined,
  operation: string | undefined,
  status?: string
): ResilienceEvent.AttemptEnded => ({
  _tag: "AttemptEnded",
  at: 0,
  call: callOf(dependency, operation),
  outcome: Outcome.make("Success", { status }),
  duration: Duration.millis(10)
})
