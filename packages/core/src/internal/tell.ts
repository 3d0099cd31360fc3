/**
 * Tells events to listeners.
 */
import type * as Fiber from "effect/Fiber"
import * as HashSet from "effect/HashSet"
import type { Listener, PolicyFault, ResilienceEvent } from "../ResilienceEvent.js"

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
      listener(event, fiber)
    } catch (defect) {
      if (first === nothingThrown) {
        first = defect
      }
      if (event._tag !== "PolicyFault") {
        const fault: PolicyFault = { _tag: "PolicyFault", at: event.at, call: event.call, part: "listener", defect }
        tell(HashSet.remove(to, listener), fault, fiber)
      }
    }
  }
  return first
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
