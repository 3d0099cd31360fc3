/**
 * Tells events to listeners.
 */
import * as Cause from "effect/Cause"
import type * as Fiber from "effect/Fiber"
import * as HashSet from "effect/HashSet"
import * as LogLevel from "effect/LogLevel"
import type { Listener, PolicyFault, ResilienceEvent } from "../ResilienceEvent.js"
import { write, writerOf } from "./log.js"

/** @internal */
export const nothingThrown: unique symbol = Symbol.for("@holdfast/core/ResilienceEvent/nothingThrown")

/**
 * Tells an event to the listeners. A listener that throws stops no other; the others hear of it as a `PolicyFault`. Answers with what
 * was thrown first, for whoever can log it, or with `nothingThrown`.
 *
 * @internal
 */
export const tell = (
  to: HashSet.HashSet<Listener>,
  event: ResilienceEvent,
  fiber?: Fiber.RuntimeFiber<any, any> | undefined
): unknown => {
  let first: unknown = nothingThrown
  const listeners = listed(to)
  for (let index = 0; index < listeners.length; index++) {
    const listener = listeners[index]!
    try {
      const answer: unknown = listener(event, fiber)
      if (typeof answer === "object" && answer !== null && "then" in answer) {
        watch(answer as PromiseLike<unknown>, listener, to, event, fiber)
      }
    } catch (defect) {
      if (first === nothingThrown) {
        first = defect
      }
      tellFault(to, listener, event, defect, fiber)
    }
  }
  return first
}

type AnyFiber = Fiber.RuntimeFiber<any, any> | undefined

const tellFault = (
  to: HashSet.HashSet<Listener>,
  listener: Listener,
  event: ResilienceEvent,
  defect: unknown,
  fiber: AnyFiber
): void => {
  if (event._tag !== "PolicyFault") {
    const fault: PolicyFault = { _tag: "PolicyFault", at: event.at, call: event.call, part: "listener", defect }
    tell(HashSet.remove(to, listener), fault, fiber)
  }
}

/** Listeners whose rejections were logged: they come after the call that could say it once. */
const logged = new WeakSet<Listener>()

/** An `async` listener fits the type of one, and nothing else waits for its end: a rejection would end the process. */
const watch = (
  answer: PromiseLike<unknown>,
  listener: Listener,
  to: HashSet.HashSet<Listener>,
  event: ResilienceEvent,
  fiber: AnyFiber
): void => {
  const writer = fiber === undefined || logged.has(listener) ? undefined : writerOf(fiber)
  answer.then(undefined, (defect: unknown) => {
    tellFault(to, listener, event, defect, fiber)
    if (writer !== undefined && !logged.has(listener)) {
      logged.add(listener)
      write(
        writer,
        LogLevel.Error,
        "A listener rejected; the others and the call went on without it",
        {},
        Cause.die(defect)
      )
    }
  })
}

// Walking a hash set costs more than most listeners do, and a program has few sets, which never change.
const lists = new WeakMap<HashSet.HashSet<Listener>, ReadonlyArray<Listener>>()
let last: { readonly set: HashSet.HashSet<Listener>; readonly list: ReadonlyArray<Listener> } | undefined

const listed = (set: HashSet.HashSet<Listener>): ReadonlyArray<Listener> => {
  if (last?.set !== set) {
    const list = lists.get(set) ?? [...set]
    lists.set(set, list)
    last = { set, list }
  }
  return last.list
}
