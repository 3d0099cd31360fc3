/**
 * Reads the facts of a call where they enter a policy, before any of its pieces has taken something for the call.
 */
import type * as Call from "../Call.js"
import { Validation } from "../Options.js"
import { criticalities } from "./declaredFacts.js"

const isText = (value: unknown): boolean => value === undefined || typeof value === "string"

const isFlag = (value: unknown): boolean => value === undefined || typeof value === "boolean"

const isCallable = (value: unknown): boolean => value === undefined || typeof value === "function"

/**
 * The facts as plain data. Each field is read once and here: a getter that throws must not throw in the middle of a call.
 *
 * @internal
 */
export const read = (owner: string, given: Call.Facts): Call.Facts => {
  if (typeof given !== "object" || given === null) {
    return refuse(owner, "facts", given, "a record of facts about the call, such as { operation: \"charge\" }")
  }
  let facts: Call.Facts
  try {
    const { classify, cost, criticality, discard, key, operation, repeatable, repeatableByDefault, requestId } = given
    facts = { operation, requestId, repeatable, repeatableByDefault, key, criticality, cost, classify, discard }
  } catch (defect) {
    return refuse(owner, "facts", defect, "a record whose fields can be read; one of them threw this")
  }
  if (
    isText(facts.operation) && isText(facts.requestId) && isText(facts.key) &&
    isFlag(facts.repeatable) && isFlag(facts.repeatableByDefault) &&
    (facts.criticality === undefined || criticalities.includes(facts.criticality)) &&
    isCallable(facts.classify) && isCallable(facts.discard)
  ) {
    return facts
  }
  return refuseFields(owner, facts)
}

const refuse = (owner: string, field: string, value: unknown, allowed: string): never => {
  const check = new Validation(owner)
  check.add(field, value, allowed)
  check.done()
  throw value
}

const refuseFields = (owner: string, facts: Call.Facts): never => {
  const check = new Validation(owner, "facts.")
  for (const field of ["operation", "requestId", "key"] as const) {
    if (!isText(facts[field])) check.add(field, facts[field], "a text")
  }
  for (const field of ["repeatable", "repeatableByDefault"] as const) {
    if (!isFlag(facts[field])) check.flag(field, facts[field])
  }
  if (facts.criticality !== undefined) check.oneOf("criticality", facts.criticality, criticalities)
  for (const field of ["classify", "discard"] as const) {
    if (!isCallable(facts[field])) check.callable(field, facts[field])
  }
  check.done()
  throw facts
}
