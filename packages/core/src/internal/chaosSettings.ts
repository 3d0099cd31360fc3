/**
 * With what chaos starts: its options, the variables of the environment, and whether this is production.
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Fault from "../Fault.js"
import { Validation } from "../Options.js"
import type { Caps } from "./blastRadius.js"
import { type Rule, ruleOf } from "./chaosInjector.js"
import { variable } from "./settingsPaths.js"
import { flag, number, type Parse, Reader, type WrongText } from "./settingsReader.js"

/**
 * With what an injector starts.
 *
 * @internal
 */
export interface Start {
  readonly on: boolean
  readonly seed: string | undefined
  readonly rules: ReadonlyArray<Rule>
  /** `undefined` when no cap was given. */
  readonly caps: Caps | undefined
  readonly inProduction: boolean
}

/** @internal */
export const noCaps: Caps = { concurrent: Infinity, share: 1, injections: Infinity }

const capNames = ["concurrent", "share", "injections"]

const checkCaps = (check: Validation, given: unknown): Caps | undefined => {
  if (given === undefined) {
    return undefined
  }
  if (typeof given !== "object" || given === null || Array.isArray(given) || Object.keys(given).length === 0) {
    check.add("blastRadius", given, "a record of concurrent, share or injections")
    return undefined
  }
  const inner = new Validation(check.owner, "blastRadius.")
  inner.record(given, capNames)
  const { concurrent, injections, share } = given as Partial<Caps>
  if (concurrent !== undefined) {
    inner.whole("concurrent", concurrent, 1)
  }
  if (share !== undefined && !(typeof share === "number" && share > 0 && share <= 1)) {
    inner.add("share", share, "a number above 0 and up to 1; 0.5 is half")
  }
  if (injections !== undefined) {
    inner.whole("injections", injections, 1, Number.MAX_SAFE_INTEGER)
  }
  check.findings.push(...inner.findings)
  return {
    concurrent: concurrent ?? noCaps.concurrent,
    share: share ?? noCaps.share,
    injections: injections ?? noCaps.injections
  }
}

/** @internal */
export const checkFaults = (check: Validation, faults: unknown): ReadonlyArray<Fault.Fault> => {
  const all: ReadonlyArray<unknown> = Array.isArray(faults) ? faults : [faults]
  all.forEach((fault, place) => {
    if (!Fault.isFault(fault)) {
      check.add(Array.isArray(faults) ? `faults[${place}]` : "faults", fault, "a fault, such as Fault.failure()")
    }
  })
  return all as ReadonlyArray<Fault.Fault>
}

/**
 * Reads the options of a layer; wrong ones throw `InvalidOptions`.
 *
 * @internal
 */
export const fromOptions = (options: any): Start => {
  const check = new Validation("Chaos.layer")
  check.record(options, ["faults", "seed", "blastRadius", "inProduction"])
  check.done()
  const { blastRadius, faults = [], inProduction = false, seed } = options
  const checked = checkFaults(check, faults)
  if (seed !== undefined && !(typeof seed === "string" && seed !== "") && !Number.isFinite(seed)) {
    check.add("seed", seed, "a number, or a text that is not empty")
  }
  check.flag("inProduction", inProduction)
  const caps = checkCaps(check, blastRadius)
  check.done()
  return {
    on: true,
    seed: seed === undefined ? undefined : String(seed),
    rules: checked.map(ruleOf),
    caps,
    inProduction
  }
}

// -- the environment ---------------------------------------------------------

const share: Parse = (text) => {
  const parsed = number(text)
  return "value" in parsed && (parsed.value as number) >= 0 && (parsed.value as number) <= 1
    ? parsed
    : { allowed: "a number from 0 to 1" }
}

/** The settings that there are for all dependencies, and for each one of them. */
const vocabulary: Readonly<Record<string, Parse>> = {
  failureRate: share,
  latencyMs: (text) => {
    const parsed = number(text)
    return "value" in parsed && Number.isInteger(parsed.value) && (parsed.value as number) >= 0 &&
        (parsed.value as number) <= 86_400_000
      ? parsed
      : { allowed: "a whole number of milliseconds from 0 to 86400000" }
  },
  latencyRate: share,
  hangRate: share,
  defectRate: share,
  answerRate: share
}

type Numbers = { readonly [setting: string]: number }

/** As the seed of all fault injectors does it: first the failure, then the latency, then what is rarer. */
const rulesOf = (numbers: Numbers, aimsAt: Rule["aimsAt"], name: string | undefined): ReadonlyArray<Rule> => {
  const { answerRate = 0, defectRate = 0, failureRate = 0, hangRate = 0, latencyMs = 0, latencyRate = 1 } = numbers
  const aim = (probability: number): Fault.Aim => ({ dependency: name, probability })
  const faults = [
    failureRate > 0 ? Fault.failure(aim(failureRate)) : undefined,
    latencyMs > 0 && latencyRate > 0 ? Fault.latency({ from: 0, to: latencyMs }, aim(latencyRate)) : undefined,
    hangRate > 0 ? Fault.hang(aim(hangRate)) : undefined,
    defectRate > 0 ? Fault.defect(aim(defectRate)) : undefined,
    answerRate > 0 ? Fault.answer(aim(answerRate)) : undefined
  ]
  return faults.flatMap((fault) => fault === undefined ? [] : [{ fault, aimsAt }])
}

/** The value of a variable, by its name below the prefix. */
const one = (reader: Reader, name: string, parse: Parse) =>
  Effect.map(reader.named(name), (text): any => {
    if (text === undefined) return undefined
    const parsed = parse(text.trim())
    if ("value" in parsed) return parsed.value
    reader.findings.push({ path: reader.path(name), value: text, allowed: parsed.allowed })
  })

const numbersOf = (reader: Reader, dependency: string | undefined) =>
  Effect.gen(function*() {
    const found: Record<string, number> = {}
    for (const [setting, parse] of Object.entries(vocabulary)) {
      const name = variable(setting)
      const value = yield* one(reader, dependency === undefined ? name : `${dependency}_${name}`, parse)
      if (value !== undefined) {
        found[setting] = value
      }
    }
    return found
  })

const settingNames = Object.keys(vocabulary).map(variable)

/** The dependency of a variable such as `PAYMENT_FAILURE_RATE`. */
const dependencyOf = (name: string): string | undefined => {
  const setting = settingNames.find((one) => name.endsWith(`_${one}`))
  return setting === undefined ? undefined : name.slice(0, -setting.length - 1)
}

/** `payments-api` is `PAYMENTS_API` or `PAYMENTSAPI`: where the words of a name end, a variable does not tell. */
const isNamed = (dependency: string, name: string): boolean =>
  variable(dependency).replaceAll("_", "") === name.replaceAll("_", "")

const readCaps = (reader: Reader) =>
  Effect.gen(function*() {
    const given: Record<string, number> = {}
    for (const cap of capNames) {
      const value = yield* one(reader, variable(`blastRadius.${cap}`), number)
      if (value !== undefined) {
        given[cap] = value
      }
    }
    if (Object.keys(given).length === 0) {
      return undefined
    }
    const check = new Validation("")
    const caps = checkCaps(check, given)
    check.findings.forEach(({ allowed, field, value }) => reader.add(field, String(value), allowed))
    return caps
  })

/**
 * Reads the variables below a prefix. A misspelt one is a finding, as far as the provider can list its names. While chaos is switched
 * off nothing but the switch is read: a wrong value for staging must not stop production.
 *
 * @internal
 */
export const fromConfig = (
  prefix: string,
  dependencies: ReadonlyArray<string> | undefined
): Effect.Effect<{ readonly start: Start; readonly findings: ReadonlyArray<WrongText> }, ConfigError.ConfigError> =>
  Effect.gen(function*() {
    const reader = yield* Reader.make(prefix)
    const on: boolean = (yield* one(reader, "ENABLED", flag)) ?? false
    if (!on) {
      const start: Start = { on, seed: undefined, rules: [], caps: undefined, inProduction: false }
      return { start, findings: reader.findings }
    }
    const seed = yield* reader.named("SEED")
    const inProduction: boolean = (yield* one(reader, "IN_PRODUCTION", flag)) ?? false
    const caps = yield* readCaps(reader)
    const everywhere = yield* numbersOf(reader, undefined)
    const general = [...reader.known].map((name) => reader.path(name)).join(", ")
    const own = new Map<string, Numbers>()
    for (const dependency of dependencies ?? []) {
      own.set(variable(dependency), yield* numbersOf(reader, variable(dependency)))
    }
    for (const name of reader.names) {
      const text = reader.known.has(name) ? undefined : yield* reader.raw(name)
      if (text === undefined) continue
      const dependency = dependencyOf(name)
      if (dependency !== undefined && dependencies === undefined) {
        own.set(dependency, yield* numbersOf(reader, dependency))
        continue
      }
      const allowed = dependency === undefined
        ? `unknown setting; there are ${general}, and for one dependency as in ${prefix}_PAYMENT_FAILURE_RATE`
        : `no such dependency; there are ${dependencies!.map(variable).join(", ")}`
      reader.findings.push({ path: reader.path(name), value: text, allowed })
    }
    const rules = [...own].flatMap(([name, numbers]) =>
      rulesOf({ ...everywhere, ...numbers }, (dependency) => isNamed(dependency, name), name)
    )
    rules.push(
      ...rulesOf(everywhere, (dependency) => ![...own.keys()].some((name) => isNamed(dependency, name)), undefined)
    )
    return { start: { on, seed, rules, caps, inProduction }, findings: reader.findings }
  })

// -- production --------------------------------------------------------------

/** Where programs are told in which environment they run. */
const environmentNames = [
  "NODE_ENV",
  "APP_ENV",
  "ENVIRONMENT",
  "ENV",
  "DEPLOYMENT_ENVIRONMENT",
  "DEPLOY_ENV",
  "VERCEL_ENV"
]

/** `production`, `prod`, `live`, and `prod-eu`, but not `preprod` or `product-test`. */
const production = /^(production|prod|prd|live)(?![a-z])/i

/** OpenTelemetry says it among other attributes: `service.name=orders,deployment.environment.name=production`. */
const attribute = (text: string): string | undefined =>
  text.split(",").map((pair) => pair.split("=").map((half) => half.trim()))
    .find(([name]) => name === "deployment.environment.name" || name === "deployment.environment")?.[1]

/**
 * The variable that says that this is production, if one does: of the config provider, or of the process, whatever the provider
 * reads.
 *
 * @internal
 */
export const productionSign: Effect.Effect<{ readonly variable: string; readonly value: string } | undefined> = Effect
  .gen(function*() {
    const environment = (globalThis as any).process?.env ?? {}
    for (const name of [...environmentNames, "OTEL_RESOURCE_ATTRIBUTES"]) {
      const configured = yield* Effect.option(Config.string(name))
      for (const text of [Option.getOrUndefined(configured), environment[name]]) {
        const value = typeof text !== "string" ? undefined : name.startsWith("OTEL") ? attribute(text) : text.trim()
        if (value !== undefined && production.test(value)) {
          return { variable: name, value }
        }
      }
    }
    return undefined
  })
