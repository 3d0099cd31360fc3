/**
 * Logs from a synchronous step as a fiber would, with its loggers, minimum level, annotations and spans, and without running an
 * effect: a listener hears events where no effect can be run.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import type * as Fiber from "effect/Fiber"
import type * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Inspectable from "effect/Inspectable"
import type * as List from "effect/List"
import * as LogLevel from "effect/LogLevel"
import type * as LogSpan from "effect/LogSpan"
import type * as Call from "../Call.js"

/**
 * Whom a call is to, as its users name it: the operation, else the dependency.
 *
 * @internal
 */
export const endpointOf = (call: Call.Call): string => call.operation ?? call.dependency ?? "the dependency"

/**
 * Whom a call is to in a sentence: the dependency, with the operation where there is one.
 *
 * @internal
 */
export const whomOf = ({ dependency, operation }: Call.Call): string =>
  dependency === undefined || operation === undefined || dependency === operation
    ? operation ?? dependency ?? "the dependency"
    : `${dependency} (${operation})`

/**
 * The fields that every line about a call has. A request id that is not known is left out: the fiber may carry one.
 *
 * @internal
 */
export const callFields = (call: Call.Call): Readonly<Record<string, unknown>> => ({
  ...(call.dependency === undefined ? {} : { dependency: call.dependency }),
  endpoint: endpointOf(call),
  ...(call.requestId === undefined ? {} : { request_id: call.requestId }),
  attempt: `${call.attempt}/${call.maxAttempts}`
})

/**
 * What a fiber logs with at one instant.
 *
 * @internal
 */
export interface Writer {
  readonly id: FiberId.FiberId
  readonly refs: FiberRefs.FiberRefs
  readonly annotations: HashMap.HashMap<string, unknown>
  readonly spans: List.List<LogSpan.LogSpan>
}

/**
 * What a fiber logs with now. It need not be running.
 *
 * @internal
 */
export const writerOf = (fiber: Fiber.RuntimeFiber<any, any>): Writer => {
  const refs = fiber.getFiberRefs()
  return {
    id: fiber.id(),
    refs,
    annotations: FiberRefs.getOrDefault(refs, FiberRef.currentLogAnnotations),
    spans: FiberRefs.getOrDefault(refs, FiberRef.currentLogSpan)
  }
}

/**
 * Whether anybody would see a line of this level.
 *
 * @internal
 */
export const shows = ({ refs }: Writer, level: LogLevel.LogLevel): boolean =>
  level._tag !== "None" &&
  !LogLevel.greaterThan(FiberRefs.getOrDefault(refs, FiberRef.currentMinimumLogLevel), level)

/**
 * Writes one line. Fields of the line go before annotations of the same name; those that are `undefined` are left out.
 *
 * @internal
 */
export const write = (
  { annotations: present, id, refs, spans }: Writer,
  level: LogLevel.LogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>>,
  cause: Cause.Cause<unknown> = Cause.empty
): void => {
  let annotations = present
  for (const name of Object.keys(fields)) {
    if (fields[name] !== undefined) {
      annotations = HashMap.set(annotations, name, fields[name])
    }
  }
  const clock = Context.get(FiberRefs.getOrDefault(refs, DefaultServices.currentServices), Clock.Clock)
  const entry = {
    fiberId: id,
    logLevel: level,
    message: [message],
    cause,
    context: refs,
    spans,
    annotations,
    date: new Date(clock.unsafeCurrentTimeMillis())
  }
  Inspectable.withRedactableContext(refs, () => {
    for (const logger of FiberRefs.getOrDefault(refs, FiberRef.currentLoggers)) {
      logger.log(entry)
    }
  })
}
