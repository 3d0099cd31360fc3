/**
 * The options of a rate limiter: their validation, and the buckets that are built from them.
 */
import { unknownName, Validation } from "../Options.js"
import { KeyedTokenBuckets, TokenBucket } from "../TokenBucket.js"
import type { Tier } from "./rateLine.js"

/** What was given, before it is known to be right. */
type Given = { readonly [field: string]: any }

/**
 * The options as the gate uses them.
 *
 * @internal
 */
export interface Numbers {
  readonly standard: Tier
  readonly tiers: ReadonlyMap<string, Tier>
  readonly maxWaitMillis: number
  readonly maxQueue: number
  readonly dryRun: boolean
}

/**
 * A wrong cost is a bug of the caller, and must not reach the sum of those who wait.
 *
 * @internal
 */
export const costOf = (cost: unknown): number => {
  if (typeof cost === "number" && cost >= 0) {
    return cost === 0 ? 0 : Math.max(cost, TokenBucket.limits.minimumCost)
  }
  const check = new Validation("RateLimiter")
  check.number("cost", cost, 0)
  check.done()
  return 0
}

/** Reads one rate; there is none as long as there is any finding. */
const tierOf = (
  check: Validation,
  field: string,
  rate: any,
  maximumKeys: number | undefined,
  now: number
): Tier | undefined => {
  check.number(`${field}rate`, rate.rate, 1e-6, 1e9)
  const perMillis = rate.per === undefined ? 1000 : check.duration(`${field}per`, rate.per)
  if (rate.capacity !== undefined) {
    check.number(`${field}capacity`, rate.capacity, TokenBucket.limits.minimumCost, TokenBucket.limits.maximumCapacity)
  }
  if (check.findings.length > 0) {
    return undefined
  }
  const capacity = rate.capacity ?? Math.max(1, rate.rate)
  const config = { capacity, refillPerMillis: rate.rate / perMillis }
  return {
    ...config,
    single: maximumKeys === undefined ? new TokenBucket(config, now) : undefined,
    keyed: maximumKeys === undefined ? undefined : new KeyedTokenBuckets(config, { maximumKeys }),
    lines: new Map()
  }
}

const rateFields = ["rate", "per", "capacity"]

const tiersOf = (check: Validation, options: Given, now: number): ReadonlyMap<string, Tier> => {
  const tiers = new Map<string, Tier>()
  if (options.tiers === undefined) {
    return tiers
  }
  if (!isRecord(options.tiers)) {
    check.add("tiers", options.tiers, "a record of rates by name")
    return tiers
  }
  for (const [name, rate] of check.entries("tiers", options.tiers)) {
    const field = `tiers.${name}`
    if (!isRecord(rate)) {
      check.add(field, rate, "a rate, such as { rate: 10, per: \"1 second\" }")
      continue
    }
    for (const [unknown, value] of check.entries(field, rate).filter(([one]) => !rateFields.includes(one))) {
      check.add(`${field}.${unknown}`, value, unknownName("field", unknown, rateFields))
    }
    const tier = tierOf(check, `${field}.`, rate, options.maximumKeys, now)
    if (tier !== undefined) {
      tiers.set(name, tier)
    }
  }
  return tiers
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const fields = [
  "name",
  "dependency",
  "rate",
  "per",
  "capacity",
  "maxWait",
  "maxQueue",
  "maximumKeys",
  "tiers",
  "tierOf",
  "bypass",
  "dryRun"
]

/**
 * Checks the options of a limiter and builds its buckets.
 *
 * @internal
 */
export const read = (options: Given, now: number): Numbers => {
  const check = new Validation("RateLimiter.make")
  check.record(options, fields)
  check.text("name", options.name)
  if (options.dependency !== undefined) {
    check.text("dependency", options.dependency)
  }
  const maxWaitMillis = options.maxWait === undefined ? 0 : check.duration("maxWait", options.maxWait, 0)
  const maxQueue = options.maxQueue ?? 1000
  check.whole("maxQueue", maxQueue, 0)
  if (options.maximumKeys !== undefined) {
    check.whole("maximumKeys", options.maximumKeys, 1, 10_000_000)
  }
  if (options.tierOf !== undefined) {
    check.callable("tierOf", options.tierOf)
  }
  if (options.bypass !== undefined) {
    check.callable("bypass", options.bypass)
  }
  if (options.dryRun !== undefined) {
    check.flag("dryRun", options.dryRun)
  }
  if ((options.tiers === undefined) !== (options.tierOf === undefined)) {
    check.add(
      options.tiers === undefined ? "tiers" : "tierOf",
      undefined,
      "given together: tiers name rates, tierOf chooses"
    )
  }
  if (maxWaitMillis > 0 && maxQueue === 0) {
    check.add("maxQueue", maxQueue, "1 or more while maxWait lets calls wait")
  }
  const standard = tierOf(check, "", options, options.maximumKeys, now)
  const tiers = tiersOf(check, options, now)
  check.done()
  return { standard: standard!, tiers, maxWaitMillis, maxQueue, dryRun: options.dryRun === true }
}
