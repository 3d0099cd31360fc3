/**
 * Reads the numbers of a dependency from Effect's `Config`: from environment variables, or from any other provider.
 *
 * @since 0.1.0
 */
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import { globalValue } from "effect/GlobalValue"
import * as Backoff from "../Backoff.js"
import * as CircuitBreaker from "../CircuitBreaker.js"
import type { Change, SlotName } from "../LiveDependency.js"
import * as Retry from "../Retry.js"
import * as RetryBudget from "../RetryBudget.js"
import * as TripPolicy from "../TripPolicy.js"
import { isRecord, type Settings, slotNames, type Slots } from "./dependencySlots.js"
import { variable } from "./settingsPaths.js"
import { duration, flag, isOff, number, type Parse, Reader, type WrongText } from "./settingsReader.js"

const jitter: Parse = (text) => {
  if (text === "full" || text === "equal" || text === "none") {
    return { value: text }
  }
  const factor = number(text)
  return "value" in factor
    ? { value: { factor: factor.value } }
    : { allowed: "full, equal, none, or a share such as 0.2" }
}

const window: Parse = (text) => {
  const calls = /^(\d+) calls?$/.exec(text)
  if (calls !== null) {
    return { value: { calls: Number(calls[1]) } }
  }
  const time = duration(text)
  return "value" in time
    ? time
    : { allowed: "a duration or a number of calls, such as \"30 seconds\" or \"100 calls\"" }
}

/** The plain numbers of each slot; a timeout is one. */
const vocabulary: Record<SlotName, Readonly<Record<string, Parse>>> = {
  totalTimeout: {},
  attemptTimeout: {},
  bulkhead: { maxConcurrent: number, maxQueue: number, maxWait: duration },
  circuitBreaker: {
    openDuration: duration,
    openJitter: number,
    maxOpenDuration: duration,
    probes: number,
    successThreshold: number,
    probeTimeout: duration,
    dryRun: flag
  },
  retry: { maxRetries: number },
  rateLimiter: { rate: number, per: duration, capacity: number, maxWait: duration, maxQueue: number, dryRun: flag },
  chaos: {}
}

const budgetNumbers: Readonly<Record<string, Parse>> = { percent: number, minimumPerSecond: number, ttl: duration }

/**
 * What the provider says: the change it asks for, the texts that it was read from, by variable, and what is wrong with them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reading {
  readonly change: Change
  readonly texts: ReadonlyMap<string, string>
  readonly findings: ReadonlyArray<WrongText>
}

/** The numbers of a backoff of ours; the delays of another schedule cannot be set. */
const readBackoff = (reader: Reader, at: string, declared: unknown) =>
  Effect.gen(function*() {
    const backoff = declared ?? Retry.defaultBackoff
    if (!Backoff.isBackoff(backoff)) return undefined
    const { kind } = backoff
    const found = yield* reader.record(at, {
      base: duration,
      ...(kind === "exponential" ? { factor: number } : {}),
      ...(kind === "constant" ? {} : { cap: duration }),
      ...(kind === "decorrelated" ? {} : { jitter })
    })
    if (Object.keys(found).length === 0) return undefined
    const { base = backoff.baseMillis, cap = backoff.capMillis, factor = backoff.factor } = found
    const spread = found.jitter ?? backoff.jitter
    return reader.build(at, () => {
      switch (kind) {
        case "exponential":
          return Backoff.exponential(base, { factor, cap, jitter: spread })
        case "constant":
          return Backoff.constant(base, { jitter: spread })
        case "decorrelated":
          return Backoff.decorrelated(base, { cap })
      }
    })
  })

type Leaf = Exclude<TripPolicy.TripPolicy, TripPolicy.Any>

const readLeaf = (reader: Reader, at: string, leaf: Leaf) =>
  Effect.gen(function*() {
    if (leaf._tag === "Consecutive") {
      const { failures = leaf.failures } = yield* reader.record(at, { failures: number })
      return reader.build(at, () => CircuitBreaker.consecutive(failures))
    }
    if (leaf._tag === "Failures") {
      const { failures = leaf.failures, within = leaf.withinMillis } = yield* reader.record(at, {
        failures: number,
        within: duration
      })
      return reader.build(at, () => CircuitBreaker.failures(failures, { within }))
    }
    const rate = { threshold: number, window, minimumCalls: number }
    const found = yield* reader.record(at, leaf._tag === "SlowCallRate" ? { slowerThan: duration, ...rate } : rate)
    const declared = leaf.window._tag === "Calls" ? { calls: leaf.window.size } : leaf.window.millis
    const { minimumCalls = leaf.minimumCalls, threshold = leaf.threshold, window: over = declared } = found
    const numbers = { threshold, window: over, minimumCalls }
    return leaf._tag === "FailureRate"
      ? reader.build(at, () => CircuitBreaker.failureRate(numbers))
      : reader.build(at, () =>
        CircuitBreaker.slowCallRate({ slowerThan: found.slowerThan ?? leaf.slowerThanMillis, ...numbers }))
  })

/** The numbers of the trip policies that are declared, by their kind: `failureRate.threshold`, `consecutive.failures`. */
const readTripPolicy = (reader: Reader, at: string, declared: TripPolicy.TripPolicy) =>
  Effect.gen(function*() {
    const before = reader.texts.size
    const seen = new Map<string, number>()
    const policies: Array<TripPolicy.TripPolicy> = []
    const leaves = TripPolicy.flatten(declared)
    for (const leaf of leaves) {
      const kind = leaf._tag.charAt(0).toLowerCase() + leaf._tag.slice(1)
      const count = (seen.get(kind) ?? 0) + 1
      seen.set(kind, count)
      policies.push((yield* readLeaf(reader, `${at}.${kind}${count === 1 ? "" : count}`, leaf)) ?? leaf)
    }
    return reader.texts.size === before
      ? undefined
      : policies.length === 1
      ? policies[0]
      : CircuitBreaker.any(...policies)
  })

const readSlot = (reader: Reader, at: string, slot: SlotName, options: any) =>
  Effect.gen(function*() {
    const text = yield* reader.text(at)
    if (slot === "totalTimeout" || slot === "attemptTimeout") {
      if (text === undefined) return undefined
      const parsed = isOff(text) ? { value: false } : duration(text.trim())
      if ("value" in parsed) return parsed.value
      return reader.add(at, text, `${parsed.allowed}, or off`)
    }
    const change = yield* reader.record(at, vocabulary[slot])
    if (slot === "retry") {
      const schedule = yield* readBackoff(reader, `${at}.backoff`, options.schedule)
      if (schedule !== undefined) change["schedule"] = schedule
      const shared = options.budget === undefined && at !== slot
      if (
        !shared && (options.budget === undefined || isRecord(options.budget)) &&
        !RetryBudget.isRetryBudget(options.budget)
      ) {
        const budget = yield* reader.record(`${at}.budget`, budgetNumbers)
        if (Object.keys(budget).length > 0) change["budget"] = budget
      }
    }
    if (slot === "circuitBreaker") {
      const tripPolicy = yield* readTripPolicy(reader, at, options.tripPolicy ?? CircuitBreaker.defaultTripPolicy)
      if (tripPolicy !== undefined) change["tripPolicy"] = tripPolicy
    }
    if (text !== undefined && !isOff(text) && text.trim().toLowerCase() !== "on") {
      reader.add(at, text, "on or off; its numbers have variables of their own")
    }
    return text !== undefined && isOff(text) ? false : Object.keys(change).length === 0 ? undefined : change
  })

const readSlots = (reader: Reader, at: string, slots: Slots) =>
  Effect.gen(function*() {
    const change: Record<string, unknown> = {}
    for (const slot of slotNames) {
      const options = slots[slot]?.options
      const found = options === undefined ? undefined : yield* readSlot(reader, at + slot, slot, options)
      if (found !== undefined) {
        change[slot] = found
      }
    }
    return change
  })

/** The prefixes of the process that settings are read below. */
const prefixes: Set<string> = globalValue(Symbol.for("@holdfast/core/Dependency/prefixes"), () => new Set())

/**
 * Says that variables below this prefix belong to somebody: `ORDERS_RETRY` to a dependency `orders-retry`, rather than to the retries of
 * `orders`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const claim = (prefix: string): void => {
  prefixes.add(prefix)
}

/** Which dependency reads below the prefix that its name gives: of two, the first. */
const owners: Map<string, string> = globalValue(Symbol.for("@holdfast/core/Dependency/owners"), () => new Map())

/**
 * The dependency whose name gives this prefix: the given one, unless another was there before it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ownerOfPrefix = (prefix: string, dependency: string): string => {
  const owner = owners.get(prefix) ?? dependency
  owners.set(prefix, owner)
  return owner
}

/** Does the variable begin with a longer prefix that somebody else reads below? */
const isClaimed = (path: string, prefix: string): boolean =>
  [...prefixes].some((other) => other.startsWith(`${prefix}_`) && path.startsWith(`${other}_`))

/** An operation has variables for the slots that it declares for itself. */
const whyNoOperation = (name: string, operations: Settings["operations"]): string | undefined => {
  if (operations.size === 0) {
    return "nothing: no operation is declared"
  }
  for (const [operation, own] of operations) {
    const rest = name.slice(variable(`operations.${operation}`).length + 1)
    const slot = slotNames.find((one) => belongs(rest, variable(one)) && own[one] === undefined)
    if (belongs(name, variable(`operations.${operation}`)) && slot !== undefined) {
      return `nothing: the operation ${operation} does not declare ${slot}, and only its declaration can add a slot`
    }
  }
  return undefined
}

const belongs = (name: string, to: string): boolean => name === to || name.startsWith(`${to}_`)

/** A misspelt variable must not be ignored, and the environment never adds a slot. */
const strangers = (
  reader: Reader,
  dependency: string,
  { operations, slots }: Settings
): Effect.Effect<void, ConfigError.ConfigError> =>
  Effect.gen(function*() {
    for (const name of reader.names) {
      const slot = slotNames.find((one) => belongs(name, variable(one)))
      if (reader.known.has(name) || (slot === undefined && !belongs(name, "OPERATIONS"))) continue
      const text = yield* reader.raw(name)
      if (text === undefined) continue
      const path = reader.path(name)
      if (isClaimed(path, reader.prefix)) continue
      if (slot !== undefined && slots[slot] === undefined) {
        if (!isOff(text)) {
          const allowed = `nothing: ${dependency} does not declare ${slot}, and only its declaration can add a slot`
          reader.findings.push({ path, value: text, allowed })
        }
      } else {
        const near = [...reader.known].filter((known) =>
          belongs(known, slot === undefined ? "OPERATIONS" : variable(slot))
        )
        const why = slot === undefined ? whyNoOperation(name, operations) : undefined
        if (why === undefined) {
          reader.unknown(name, text, near)
        } else {
          reader.findings.push({ path, value: text, allowed: why })
        }
      }
    }
  })

/**
 * Reads every number that the settings declare, below a prefix. What is wrong is collected; the only failure is that of the provider.
 *
 * @since 0.1.0
 * @category constructors
 */
export const read = (
  prefix: string,
  dependency: string,
  settings: Settings
): Effect.Effect<Reading, ConfigError.ConfigError> =>
  Effect.gen(function*() {
    const reader = yield* Reader.make(prefix)
    const change = yield* readSlots(reader, "", settings.slots)
    const operations = new Map<string, unknown>()
    for (const [operation, own] of settings.operations) {
      const found = yield* readSlots(reader, `operations.${operation}.`, own)
      if (Object.keys(found).length > 0) {
        operations.set(operation, found)
      }
    }
    yield* strangers(reader, dependency, settings)
    return {
      change: { ...change, operations: Object.fromEntries(operations) } as Change,
      texts: reader.texts,
      findings: reader.findings
    }
  })
