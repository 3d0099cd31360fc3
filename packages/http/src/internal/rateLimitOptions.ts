/**
 * Reads the options of a rate limit.
 *
 * @since 0.1.0
 */
import type * as HttpRateLimit from "../HttpRateLimit.js"
import { isCost } from "./rateLimitUse.js"
import { OptionsCheck } from "./serverOptions.js"

/** @internal */
export interface Numbers {
  readonly name: string
  readonly maximumKeys: number
  readonly logEveryMillis: number
}

const rateFields = ["rate", "per", "capacity"]

const fields = [
  ...rateFields,
  "name",
  "key",
  "trustedProxies",
  "maximumKeys",
  "tiers",
  "tierOf",
  "cost",
  "exempt",
  "maxWait",
  "dryRun",
  "logEvery",
  "showKey"
]

const checkRate = (check: OptionsCheck, path: string, rate: { readonly [field: string]: unknown }): void => {
  const number = (field: string, minimum: number, maximum: number) => {
    const value = rate[field]
    if (!(typeof value === "number" && value >= minimum && value <= maximum)) {
      check.add(path + field, value, `a number from ${minimum} to ${maximum}`)
    }
  }
  number("rate", 1e-6, 1e9)
  check.optional(rate.per, (value) => check.duration(`${path}per`, value))
  // Less than one could not even be told to a client.
  check.optional(rate.capacity, () => number("capacity", 1, 1e9))
}

/** @internal */
export const checkRoute = (
  route: { readonly cost?: number | undefined; readonly operation?: string | undefined }
): void => {
  const check = new OptionsCheck("HttpRateLimit.at")
  check.record(route, ["cost", "operation"])
  check.optional(route.cost, (value) => {
    if (!isCost(value)) {
      check.add("cost", value, "a finite number of 0 or more")
    }
  })
  check.optional(route.operation, (value) => check.text("operation", value))
  check.done()
}

/** @internal */
export const checkRateLimit = (options: HttpRateLimit.Options): Numbers => {
  const check = new OptionsCheck("HttpRateLimit.make")
  check.record(options, fields)
  checkRate(check, "", options as unknown as Record<string, unknown>)
  const name = options.name ?? "default"
  check.quotable("name", name)
  check.optional(options.key, (value) => check.callable("key", value))
  check.optional(options.trustedProxies, (value) => check.whole("trustedProxies", value, 0, 100))
  const maximumKeys = options.maximumKeys ?? 100_000
  check.whole("maximumKeys", maximumKeys, 1, 10_000_000)
  check.optional(options.tierOf, (value) => check.callable("tierOf", value))
  check.optional(options.exempt, (value) => check.callable("exempt", value))
  check.optional(options.showKey, (value) => check.callable("showKey", value))
  check.optional(options.dryRun, (value) => check.flag("dryRun", value))
  check.optional(options.maxWait, (value) => check.duration("maxWait", value, 0))
  check.optional(options.cost, (value) => {
    if (typeof value !== "function" && !isCost(value)) {
      check.add("cost", value, "a finite number of 0 or more, or a function that gives one")
    }
  })
  if ((options.tiers === undefined) !== (options.tierOf === undefined)) {
    check.add(
      options.tiers === undefined ? "tiers" : "tierOf",
      undefined,
      "given together: tiers name rates, tierOf chooses"
    )
  }
  const tiers = options.tiers !== undefined && check.isRecord("tiers", options.tiers) ? options.tiers : {}
  for (const [tier, rate] of check.entries("tiers", tiers)) {
    check.quotable(`tiers.${tier}`, tier)
    if (typeof rate !== "object" || rate === null) {
      check.add(`tiers.${tier}`, rate, "a rate, such as { rate: 10, per: \"1 second\" }")
      continue
    }
    for (const [field, value] of check.entries(`tiers.${tier}`, rate)) {
      if (!rateFields.includes(field)) {
        check.add(`tiers.${tier}.${field}`, value, `one of ${rateFields.join(", ")}`)
      }
    }
    checkRate(check, `tiers.${tier}.`, rate as unknown as Record<string, unknown>)
  }
  const logEveryMillis = options.logEvery === undefined ? 10_000 : check.duration("logEvery", options.logEvery)
  check.done()
  return { name, maximumKeys, logEveryMillis }
}
