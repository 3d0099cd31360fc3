/**
 * Tells listeners of what happens outside of any call: a breaker moved by hand, a fallback that answered.
 */
import * as Cause from "effect/Cause"
import * as LogLevel from "effect/LogLevel"
import * as ResilienceEvent from "../ResilienceEvent.js"
import { write, writerOf } from "./log.js"
import type { AnyFiber } from "./runtime.js"
import { nothingThrown, tell } from "./tell.js"

/**
 * Tells an event, which is built only if anybody listens. There is no call that could report a listener that throws, so it is logged
 * here.
 *
 * @internal
 */
export const announce = (
  fiber: AnyFiber,
  event: () => ResilienceEvent.ResilienceEvent,
  listeners = fiber.getFiberRef(ResilienceEvent.listeners)
): void => {
  if (listeners === ResilienceEvent.noListeners) {
    return
  }
  const defect = tell(listeners, event(), fiber)
  if (defect !== nothingThrown) {
    logDefect(fiber, "A listener threw; the others and the call went on without it", defect)
  }
}

/**
 * Logs what a piece of the user's threw.
 *
 * @internal
 */
export const logDefect = (fiber: AnyFiber, message: string, defect: unknown): void => {
  const writer = writerOf(fiber)
  write(writer, LogLevel.Error, message, {}, Cause.die(defect))
}
