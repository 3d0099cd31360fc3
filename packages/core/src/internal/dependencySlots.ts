/**
 * The slots that a dependency and its operations declare, as data, and what a change makes of them.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Failure from "../Failure.js"
import type * as Lint from "../Lint.js"
import type { Change, SlotChanges, SlotName } from "../LiveDependency.js"
import { type Finding, withChange } from "../Options.js"
import * as Policy from "../Policy.js"
import * as RetryBudget from "../RetryBudget.js"
import type { DeclaredFacts } from "./declaredFacts.js"

/**
 * A declared slot: its options, and whether it is switched on. An operation that does without a slot declares it without options.
 *
 * @since 0.1.0
 * @category models
 */
export interface Slot {
  readonly on: boolean
  readonly options: any
  /** A change took the queue away that `maxWait` is for: the declared wait counts again when there is a queue. */
  readonly unqueued?: boolean
}

/**
 * The options that a slot runs with.
 *
 * @since 0.1.0
 * @category accessors
 */
export const effective = (slot: Slot): any =>
  slot.unqueued === true ? { ...slot.options, maxWait: undefined } : slot.options

/**
 * The declared slots of a dependency, or those that an operation has for itself.
 *
 * @since 0.1.0
 * @category models
 */
export type Slots = { readonly [K in SlotName]?: Slot }

/**
 * All that a dependency runs with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  readonly slots: Slots
  readonly operations: ReadonlyMap<string, Slots>
  /** What each operation declares of its calls. */
  readonly facts: ReadonlyMap<string, DeclaredFacts>
  readonly classify: Failure.Classify | undefined
  /** What lies around a call, for the linter; of an operation, or of the dependency. */
  readonly around: (operation: string | undefined) => Lint.Context
}

/**
 * The slots of the standard stack.
 *
 * @since 0.1.0
 * @category constructors
 */
export const slotNames: ReadonlyArray<SlotName> = [
  "totalTimeout",
  "bulkhead",
  "circuitBreaker",
  "retry",
  "rateLimiter",
  "attemptTimeout",
  "chaos"
]

const onByDefault: Partial<Record<SlotName, unknown>> = {
  ...Policy.standardDefaults,
  circuitBreaker: {},
  retry: {}
}

/**
 * The fields of each slot that can change while calls run; a timeout has none, it is one number.
 *
 * @since 0.1.0
 * @category models
 */
export const changeable: Partial<Record<SlotName, ReadonlyArray<string>>> = {
  bulkhead: ["maxConcurrent", "maxQueue", "maxWait"],
  circuitBreaker: [
    "tripPolicy",
    "openDuration",
    "openJitter",
    "maxOpenDuration",
    "probes",
    "successThreshold",
    "probeTimeout",
    "dryRun"
  ],
  retry: ["maxRetries", "schedule", "budget"],
  rateLimiter: ["rate", "per", "capacity", "maxWait", "maxQueue", "dryRun"],
  chaos: []
}

/**
 * The slots that options declare. For a dependency, what is left out has its default; for an operation, it is the dependency's.
 *
 * @since 0.1.0
 * @category constructors
 */
export const declared = (options: { readonly [K in SlotName]?: unknown }, ofOperation: boolean): Slots => {
  const slots: { [K in SlotName]?: Slot } = {}
  for (const name of slotNames) {
    const given = options[name] ?? (ofOperation ? undefined : onByDefault[name])
    if (given === false) {
      if (ofOperation) {
        slots[name] = { on: false, options: undefined }
      }
    } else if (given !== undefined) {
      slots[name] = { on: true, options: name === "chaos" && given === true ? {} : given }
    }
  }
  return slots
}

/**
 * Whether the value is a record of options.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !Duration.isDuration(value)

const changedSlots = (
  slots: Slots,
  change: { readonly [slot: string]: any },
  at: string,
  findings: Array<Finding>
): Slots => {
  const next: { [K in SlotName]?: Slot } = { ...slots }
  if (!isRecord(change)) {
    findings.push({ field: at === "" ? "change" : at.slice(0, -1), value: change, allowed: "a record of slots" })
    return next
  }
  for (const name of Object.keys(change)) {
    const field = at + name
    const given = change[name]
    if (given === undefined || (name === "operations" && at === "")) {
      continue
    }
    if (!(slotNames as ReadonlyArray<string>).includes(name)) {
      findings.push({ field, value: given, allowed: `no such slot; the slots are ${slotNames.join(", ")}` })
      continue
    }
    const slot = slots[name as SlotName]
    if (slot?.options === undefined) {
      if (given !== false) {
        findings.push({
          field,
          value: given,
          allowed: "nothing: the slot is not declared, and only its declaration can add it"
        })
      }
      continue
    }
    if (given === false) {
      next[name as SlotName] = { ...slot, on: false }
      continue
    }
    const fields = changeable[name as SlotName]
    if (fields === undefined) {
      next[name as SlotName] = { on: true, options: given }
      continue
    }
    if (!isRecord(given)) {
      findings.push({ field, value: given, allowed: "a record of numbers, or false" })
      continue
    }
    const options = { ...slot.options }
    for (const [key, value] of Object.entries(given)) {
      if (!fields.includes(key)) {
        findings.push({
          field: `${field}.${key}`,
          value,
          allowed: fields.length === 0
            ? "nothing: it can only be switched off and on"
            : `no such number; what can change is ${fields.join(", ")}`
        })
      } else if (key === "budget") {
        // An operation without a budget of its own draws on that of the dependency.
        const own = (options.budget === undefined && at === "") ||
          (isRecord(options.budget) && !RetryBudget.isRetryBudget(options.budget))
        if (own && isRecord(value) && !RetryBudget.isRetryBudget(value)) {
          options.budget = withChange(options.budget ?? {}, value)
        } else {
          findings.push({ field: `${field}.budget`, value, allowed: "nothing: the budget is not declared here" })
        }
      } else if (value !== undefined) {
        options[key] = value
      }
    }
    const unqueued = given["maxWait"] === undefined && options.maxQueue === 0
    next[name as SlotName] = { on: true, options, unqueued }
  }
  return next
}

/**
 * The settings with a change applied, and what in the change cannot be applied.
 *
 * @since 0.1.0
 * @category combinators
 */
export const changed = (
  settings: Settings,
  change: Change
): { readonly settings: Settings; readonly findings: ReadonlyArray<Finding> } => {
  const findings: Array<Finding> = []
  const slots = changedSlots(settings.slots, change as SlotChanges, "", findings)
  const operations = new Map(settings.operations)
  const own: unknown = isRecord(change) ? change.operations ?? {} : {}
  if (!isRecord(own)) {
    findings.push({ field: "operations", value: own, allowed: "a record of slots by operation" })
    return { settings, findings }
  }
  for (const [operation, slotsOf] of Object.entries(own)) {
    const before = settings.operations.get(operation)
    if (before === undefined) {
      const allowed = `an operation that is declared: ${[...operations.keys()].join(", ") || "none is"}`
      findings.push({ field: `operations.${operation}`, value: slotsOf, allowed })
    } else {
      operations.set(operation, changedSlots(before, slotsOf as SlotChanges, `operations.${operation}.`, findings))
    }
  }
  return { settings: { ...settings, slots, operations }, findings }
}
