/**
 * Declares what a program depends on: one class per dependency, with its policy, its operations and its place in the registry.
 *
 * @since 0.1.0
 */
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Call from "./Call.js"
import type * as Chaos from "./Chaos.js"
import { DependencyRegistry, type DuplicateDependency } from "./DependencyRegistry.js"
import { criticalities } from "./internal/declaredFacts.js"
import * as DependencyConfig from "./internal/dependencyConfig.js"
import * as DependencyControl from "./internal/dependencyControl.js"
import { changed, declared, isRecord, type Settings, slotNames } from "./internal/dependencySlots.js"
import { read as readFacts } from "./internal/facts.js"
import { ownValue } from "./internal/records.js"
import { variable } from "./internal/settingsPaths.js"
import type * as Lint from "./Lint.js"
import { InvalidSettings, type LiveDependency, type UnsafePolicy } from "./LiveDependency.js"
import { InvalidOptions, Validation } from "./Options.js"
import type * as Policy from "./Policy.js"

/**
 * The slots that an operation has for itself. A slot left out is the dependency's, `false` lets the operation do without it.
 *
 * Its timeouts and its retry are plain settings; a breaker, a bulkhead or a limiter given here is one of its own, which does not see
 * the other calls. Its retries draw on the budget of the dependency unless it asks for its own.
 *
 * @since 0.1.0
 * @category models
 */
export interface OperationOptions<Injected extends { readonly _tag: string } = Chaos.InjectedFailure>
  extends Omit<Policy.StandardOptions<Injected>, "classify">
{
  /**
   * May calls of this operation be made twice? A `false` here or with the call wins, whichever way the call is made; a `true` here goes
   * over what an HTTP method says. Default `true`, over HTTP by the method and the idempotency key.
   */
  readonly repeatable?: boolean | undefined
  /** Default `important`. A criticality given with the call goes first. */
  readonly criticality?: Call.Criticality | undefined
  /** What lies around calls of this operation, where it differs from the dependency's. */
  readonly lint?: Lint.Context | undefined
}

/**
 * The slots of the standard stack, as for `Policy.standard`, and the operations that differ from them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<Injected extends { readonly _tag: string } = Chaos.InjectedFailure>
  extends Policy.StandardOptions<Injected>
{
  /** By name. Once there are any, a call can only name one of these; `{}` declares one that differs in nothing. */
  readonly operations?: { readonly [operation: string]: OperationOptions<Injected> } | undefined
  /** What lies around the dependency: the promise to the user, the pool under it. The linter checks the policies against it. */
  readonly lint?: Lint.Context | undefined
}

/**
 * What is known of one call: its facts, with the operations that the dependency declares.
 *
 * @since 0.1.0
 * @category models
 */
export interface Facts<O> extends Omit<Call.Facts, "operation"> {
  readonly operation?: OperationOf<O> | undefined
}

type OperationOf<O> = O extends { readonly operations: infer Operations } ? keyof Operations & string : string

/** The slots that are on without being asked for. */
type OnByDefault = "totalTimeout" | "circuitBreaker" | "attemptTimeout"

type SlotsOn<O> = {
  [K in keyof Policy.SlotErrors]: K extends keyof O
    ? [Exclude<O[K], false | undefined>] extends [never] ? undefined extends O[K] ? K & OnByDefault : never
    : K
    : K & OnByDefault
}[keyof Policy.SlotErrors]

/** The options under which an operation runs: its own over those of the dependency. */
type Under<O, Operation> = O extends { readonly operations: infer Operations }
  ? Operation extends keyof Operations ? Omit<O, keyof Operations[Operation]> & Operations[Operation] : O
  : O

/**
 * The errors that a dependency with these options adds to a call: exactly those of the slots that are on.
 *
 * @since 0.1.0
 * @category models
 */
export type ErrorOf<O, Operation = undefined> = ErrorOfEach<Under<O, Operation>>

/** For a call that may be of several operations, the errors of all. */
type ErrorOfEach<O> = O extends unknown
  ? Policy.SlotErrors[SlotsOn<O>] | ("chaos" extends keyof O ? Chaos.FailureOf<O["chaos" & keyof O]> : never)
  : never

/**
 * The wrong answers that a dependency with these options may give while chaos is on: none, unless a place for faults declares one.
 *
 * @since 0.1.0
 * @category models
 */
export type AnswerOf<O, Operation = undefined> = AnswerOfEach<Under<O, Operation>>

type AnswerOfEach<O> = O extends unknown ? "chaos" extends keyof O ? Chaos.AnswerOf<O["chaos" & keyof O]> : never
  : never

/** A record with the known fields only: `const O extends Options` alone would accept misspelt ones. */
type Known<Given, Allowed> = {
  [K in keyof Given]: K extends keyof Allowed ? Allowed[K] : never
}

type KnownSlots<O, Allowed> = {
  [K in keyof O]: K extends "bulkhead" | "circuitBreaker" | "retry" | "rateLimiter" | "chaos"
    ? O[K] extends boolean | undefined ? O[K]
    : Known<O[K], Exclude<Policy.StandardOptions<any>[K], boolean | undefined>>
    : K extends "lint" ? Known<O[K], Lint.Context>
    : K extends "operations" ? { [Operation in keyof O[K]]: KnownSlots<O[K][Operation], OperationOptions<any>> }
    : K extends keyof Allowed ? Allowed[K]
    : never
}

type FactsOperation<F> = F extends { readonly operation: infer Operation } ? Operation : undefined

type Applied<Self, O, X> = [X] extends [Effect.Effect<infer A, infer E, infer R>] ?
  Effect.Effect<A | AnswerOf<O>, E | ErrorOf<O>, R | Self> :
  <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A | AnswerOf<O, FactsOperation<X>>, E | ErrorOf<O, FactsOperation<X>>, R | Self>

/**
 * Runs an effect as a call to a dependency: `effect.pipe(Payments.call)`, or with facts about it
 * `effect.pipe(Payments.call({ operation: "charge", repeatable: false }))`.
 *
 * One signature for both, because an overloaded function loses the types of what is piped through it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Caller<Self, O> {
  <const X extends Effect.Effect<any, any, any> | Facts<O>>(
    effectOrFacts: X extends Effect.Effect<any, any, any> ? X : X & Known<X, Facts<O>>
  ): Applied<Self, O, X>
}

/**
 * What the tag of a dependency stands for while it lives.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dependency<out E> extends Omit<LiveDependency, "policy"> {
  /** The policy that the next call will have, to be composed or wrapped around a client. */
  readonly policy: (operation?: string) => Effect.Effect<Policy.Policy<E>>
}

/**
 * The class of a dependency: its tag, its layers and its `call`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServiceClass<Self, Name extends string, O>
  extends Context.TagClass<Self, `@holdfast/core/Dependency/${Name}`, Dependency<ErrorOf<O>>>
{
  readonly dependency: Name
  readonly call: Caller<Self, O>
  /**
   * Starts the dependency with the declared numbers. Its name belongs to it until the scope of the layer closes. Warnings of the
   * linter are logged, its errors fail the layer; wrong options are a defect `InvalidOptions`.
   */
  readonly layer: Layer.Layer<Self, DuplicateDependency | UnsafePolicy>
  /**
   * As `layer`, with numbers from the config provider below a prefix; by default the name: `PAYMENTS`. With the environment as
   * the provider, `PAYMENTS_TOTAL_TIMEOUT="2 seconds"` sets a number and `PAYMENTS_BULKHEAD=off` switches a declared slot off. All
   * wrong values are reported at once as `InvalidSettings`; a `ConfigError` says that the provider itself failed.
   */
  readonly layerConfig: (
    prefix?: string
  ) => Layer.Layer<Self, DuplicateDependency | UnsafePolicy | InvalidSettings | ConfigError.ConfigError>
}

const settingsOf = (options: Options<any>): Settings => ({
  slots: declared(options, false),
  operations: new Map(
    Object.entries(options.operations ?? {}).map(([operation, own]) => [operation, declared(own, true)])
  ),
  facts: new Map(
    Object.entries(options.operations ?? {}).map(([operation, { criticality, repeatable }]) => [
      operation,
      { operation, criticality, repeatable }
    ])
  ),
  classify: options.classify,
  around: (operation) => ({
    ...options.lint,
    ...(operation === undefined ? {} : ownValue(options.operations ?? {}, operation)?.lint)
  })
})

/** What no piece checks for itself. */
const checkDeclaration = (name: string, options: Options<any>): void => {
  const check = new Validation(`Dependency ${name}`)
  check.text("name", name)
  check.record(options, [...slotNames, "classify", "operations", "lint"])
  check.done()
  if (options.classify !== undefined) {
    check.callable("classify", options.classify)
  }
  const fixed = (at: string, slots: any): void => {
    for (const slot of slotNames) {
      if (isRecord(slots[slot])) {
        check.entries(at + slot, slots[slot])
      }
      for (const field of ["name", "dependency", "classify"]) {
        if (typeof slots[slot] === "object" && slots[slot] !== null && field in slots[slot]) {
          check.add(`${at}${slot}.${field}`, slots[slot][field], "left out: the dependency sets it for all its slots")
        }
      }
    }
  }
  fixed("", options)
  for (const [operation, given] of check.entries("operations", options.operations ?? {})) {
    const own = given as any
    const inner = new Validation(check.owner, `operations.${operation}.`)
    inner.record(own, [...slotNames, "repeatable", "criticality", "lint"])
    if (own?.repeatable !== undefined) {
      inner.flag("repeatable", own.repeatable)
    }
    if (own?.criticality !== undefined) {
      inner.oneOf("criticality", own.criticality, criticalities)
    }
    check.findings.push(...inner.findings)
    fixed(inner.path, own ?? {})
  }
  check.done()
}

/** The settings of the declaration; a wrong declaration is a bug. */
const settled = (name: string, options: Options<any>): Effect.Effect<Settings> =>
  Effect.gen(function*() {
    checkDeclaration(name, options)
    const settings = settingsOf(options)
    const findings = yield* DependencyControl.check(name, settings)
    return findings.length === 0
      ? settings
      : yield* Effect.die(new InvalidOptions({ owner: `Dependency ${name}`, findings }))
  })

/** One variable must mean one thing. */
const checkVariables = (name: string, prefix: string, settings: Settings): void => {
  const check = new Validation(`Dependency ${name}`)
  if (typeof prefix !== "string" || !/^[^_](.*[^_])?$/.test(prefix)) {
    check.add(
      "prefix",
      prefix,
      "a text that is not empty and neither begins nor ends with _; give one where the name of the dependency has no letters A to Z"
    )
  }
  const owner = prefix === variable(name) ? DependencyConfig.ownerOfPrefix(prefix, name) : name
  if (owner !== name) {
    check.add(
      "prefix",
      prefix,
      `a prefix of its own, since ${owner} reads its settings below this one; give one to layerConfig`
    )
  }
  const names = new Map<string, string>()
  for (const operation of settings.operations.keys()) {
    const own = variable(operation)
    const other = names.get(own)
    if (own === "" || other !== undefined) {
      const allowed = other === undefined
        ? "a name with a letter A to Z or a digit, which a variable can be named after"
        : `a name whose variable, ${own}, is not that of ${other} too`
      check.add(`operations.${operation}`, own, allowed)
    }
    names.set(own, operation)
  }
  check.done()
}

const configured = (
  name: string,
  options: Options<any>,
  prefix: string
): Effect.Effect<Settings, InvalidSettings | ConfigError.ConfigError> =>
  Effect.gen(function*() {
    const settings = yield* settled(name, options)
    checkVariables(name, prefix, settings)
    const reading = yield* DependencyConfig.read(prefix, name, settings)
    const next = changed(settings, reading.change)
    const findings = [...reading.findings]
    /** Of two numbers that do not go together the one is to blame that the environment set. */
    const blamed = (field: string, rule: string): readonly [path: string, allowed: string] => {
      const path = `${prefix}_${variable(field)}`
      const other = `${prefix}_${variable(field.replace(/maxOpenDuration$/, "openDuration"))}`
      return reading.texts.has(path) || other === path || !reading.texts.has(other)
        ? [path, rule]
        : [other, "at most the maxOpenDuration that is declared"]
    }
    for (
      const { allowed: rule, field, value } of [
        ...next.findings,
        ...(yield* DependencyControl.check(name, next.settings))
      ]
    ) {
      const [path, allowed] = blamed(field, rule)
      if (!findings.some((finding) => finding.path === path)) {
        findings.push({ path, value: reading.texts.get(path) ?? value, allowed })
      }
    }
    return findings.length === 0 ? next.settings : yield* new InvalidSettings({ dependency: name, findings })
  })

const started = (
  name: string,
  settings: Settings
): Effect.Effect<DependencyControl.Running, DuplicateDependency | UnsafePolicy, Scope.Scope> =>
  Effect.gen(function*() {
    const running = yield* DependencyControl.start(name, settings)
    const registry = yield* DependencyRegistry
    yield* registry.register(running)
    return running
  })

const callOf = (tag: Context.Tag<any, any>) => {
  const through = (facts: Call.Facts) => (effect: Effect.Effect<any, any, any>) =>
    Effect.flatMap(tag, (running: DependencyControl.Running) => running.protect(effect, facts))
  const plain = through(Call.none)
  return (effectOrFacts: any) =>
    Effect.isEffect(effectOrFacts) ? plain(effectOrFacts) : through(readFacts("Dependency.call", effectOrFacts))
}

/**
 * Declares a dependency. The options say which slots exist; the error type of `call` comes from them.
 *
 * Its policies are looked up at every call, so that `DependencyRegistry.reconfigure` can change numbers while calls run.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as Effect from "effect/Effect"
 *
 * class Payments extends Dependency.Service<Payments>()("payments", {
 *   bulkhead: { maxConcurrent: 20 },
 *   operations: { charge: { repeatable: false, attemptTimeout: "5 seconds", retry: { maxRetries: 0 } } }
 * }) {}
 *
 * const program = Effect.succeed("charged").pipe(
 *   Payments.call({ operation: "charge" }),
 *   Effect.catchTag("CircuitOpen", () => Effect.succeed("pending"))
 * )
 *
 * Effect.runPromiseExit(program.pipe(Effect.provide(Payments.layer)))
 *
 * @since 0.1.0
 * @category constructors
 */
export const Service = <Self>() =>
<const Name extends string, const O extends Options<any> = {}>(
  name: Name,
  options?: O & KnownSlots<O, Options<any>>
): ServiceClass<Self, Name, O> => {
  if (typeof name !== "string") {
    const check = new Validation("Dependency.Service")
    check.text("name", name)
    check.done()
  }
  const given: Options<any> = options ?? {}
  const tag: any = Context.Tag(`@holdfast/core/Dependency/${name}`)()
  // One value for each layer: layers are shared by identity.
  const layer = Layer.scoped(tag, Effect.flatMap(settled(name, given), (settings) => started(name, settings)))
  return Object.assign(tag, {
    dependency: name,
    layer,
    layerConfig: (prefix = variable(name)) => {
      DependencyConfig.claim(prefix)
      return Layer.scoped(tag, Effect.flatMap(configured(name, given, prefix), (settings) => started(name, settings)))
    },
    call: callOf(tag)
  })
}
