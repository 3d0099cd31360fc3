/**
 * Decides for each attempt which faults hit it, within the blast radius, and keeps the account.
 */
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as HashSet from "effect/HashSet"
import type * as Call from "../Call.js"
import type { Fault, Kind } from "../Fault.js"
import { BlastRadius, type Caps } from "./blastRadius.js"
import { Arrivals, delayOf, draw } from "./chaosDraw.js"
import { isDeclared } from "./declared.js"

/**
 * A fault with the dependencies that it aims at.
 *
 * @internal
 */
export interface Rule {
  readonly fault: Fault
  readonly aimsAt: (dependency: string) => boolean
}

/** @internal */
export const ruleOf = (fault: Fault): Rule => {
  const names = fault.dependencies
  return { fault, aimsAt: (dependency) => names === undefined || names.includes(dependency) }
}

/**
 * A rule that is in force.
 *
 * @internal
 */
export class LiveRule {
  readonly rule: Rule
  /** Part of every draw, so that two rules do not hit the same attempts. */
  readonly number: number
  /** When it was put in, in milliseconds of the alarm queue's clock. */
  readonly since: number
  hits = 0

  constructor(rule: Rule, number: number, since: number) {
    this.rule = rule
    this.number = number
    this.since = since
  }

  isDue(now: number): boolean {
    const { fromMillis, toMillis } = this.rule.fault
    const age = now - this.since
    return age >= fromMillis && age < toMillis
  }
}

/** @internal */
export type Drawn = "byRequestId" | "byKey" | "byArrival"

/** @internal */
export interface Account {
  attempts: number
  disturbed: number
  heldBack: number
  withoutAnswer: number
  readonly faults: Record<Kind, number>
}

const emptyAccount = (): Account => ({
  attempts: 0,
  disturbed: 0,
  heldBack: 0,
  withoutAnswer: 0,
  faults: { failure: 0, latency: 0, hang: 0, defect: 0, answer: 0 }
})

/** Accounts of more dependencies than this are kept together. */
const mostAccounts = 1000

/**
 * What hits one attempt: a delay (0 for none), and what ends it, unless it goes on to the dependency.
 *
 * @internal
 */
export interface Hit {
  readonly injector: Injector
  readonly latencies: ReadonlyArray<number>
  readonly end: Exclude<Kind, "latency"> | undefined
  /** It keeps the call: the injector must be told when it is let go. */
  readonly holds: boolean
}

/**
 * What is asked of the injector.
 *
 * @internal
 */
export interface Question {
  readonly dependency: string
  readonly call: Call.Call
  readonly now: number
  /** The place declares a wrong answer. */
  readonly hasAnswer: boolean
  /** A condition of the user's threw. */
  readonly threw: (defect: unknown) => void
}

let made = 0

/** @internal */
export class Injector {
  readonly id = made++
  readonly seed: string
  readonly radius: BlastRadius
  readonly accounts = new Map<string, Account>()
  readonly drawn: Record<Drawn, number> = { byRequestId: 0, byKey: 0, byArrival: 0 }
  rules: ReadonlyArray<LiveRule> = []
  isOpen = true
  /** All names that rules were ever given, and those of them that were called. */
  readonly names = new Set<string>()
  readonly met = new Set<string>()
  private readonly arrivals = new Arrivals()
  private numbered = 0

  constructor(seed: string, caps: Caps) {
    this.seed = seed
    this.radius = new BlastRadius(caps)
  }

  add(rules: ReadonlyArray<Rule>, now: number): ReadonlyArray<LiveRule> {
    const live = rules.map((rule) => new LiveRule(rule, this.numbered++, now))
    this.rules = [...this.rules, ...live]
    rules.forEach(({ fault }) => fault.dependencies?.forEach((name) => this.names.add(name)))
    return live
  }

  /**
   * Takes everything out, for good. A fiber may still know this injector: what merged layers set in a fiber stays there on this line of
   * Effect when they are gone.
   */
  close(): void {
    this.isOpen = false
    this.rules = []
  }

  remove(rules: ReadonlyArray<LiveRule>): void {
    this.rules = this.rules.filter((rule) => !rules.includes(rule))
  }

  /** A rule that was given one name only may know the dependency by it, as the environment does. */
  private meet(rules: ReadonlyArray<LiveRule>, dependency: string): void {
    for (const { rule } of rules) {
      const names = rule.fault.dependencies ?? []
      names.filter((name) => name === dependency || names.length === 1).forEach((name) => this.met.add(name))
    }
  }

  private accountOf(dependency: string): Account {
    const room = this.accounts.size < mostAccounts || isDeclared(dependency)
    const key = this.accounts.has(dependency) || room ? dependency : "other"
    let account = this.accounts.get(key)
    if (account === undefined) {
      account = emptyAccount()
      this.accounts.set(key, account)
    }
    return account
  }

  /** The dice of one attempt, thrown for the first time when somebody asks. */
  private dice({ call, dependency }: Question): (rule: LiveRule, which: number) => number {
    let who: ReadonlyArray<string | number> | undefined
    const identify = (): ReadonlyArray<string | number> => {
      if (call.requestId !== undefined) {
        this.drawn.byRequestId++
        return ["request", call.requestId, call.operation ?? "", call.key ?? ""]
      }
      // Calls that nobody tells apart are told apart by their order: of the key, or of them all.
      this.drawn[call.key === undefined ? "byArrival" : "byKey"]++
      const group = JSON.stringify([dependency, call.key, call.attempt])
      return ["arrival", call.key ?? "", this.arrivals.next(group)]
    }
    return (rule, which) => {
      who ??= identify()
      return draw(this.seed, dependency, call.attempt, rule.number, which, ...who)
    }
  }

  private isAimedAt(rule: LiveRule, question: Question): boolean {
    if (!rule.isDue(question.now)) {
      return false
    }
    try {
      return rule.rule.fault.when === undefined || rule.rule.fault.when(question.call)
    } catch (defect) {
      question.threw(defect)
      return false
    }
  }

  /** What hits this attempt. The rules are tried in order; all but a latency end the trying. */
  hit(question: Question): Hit | undefined {
    const rules = this.rules.filter((rule) => rule.rule.aimsAt(question.dependency))
    if (rules.length === 0) {
      return undefined
    }
    if (this.met.size < this.names.size) {
      this.meet(rules, question.dependency)
    }
    const account = this.accountOf(question.dependency)
    account.attempts++
    const dice = this.dice(question)
    const hitting: Array<LiveRule> = []
    const latencies: Array<number> = []
    let end: Hit["end"]
    for (const rule of rules) {
      const { kind, probability, spread } = rule.rule.fault
      if (!this.isAimedAt(rule, question) || (probability < 1 && dice(rule, 0) >= probability)) {
        continue
      }
      if (kind === "answer" && !question.hasAnswer) {
        account.withoutAnswer++
        continue
      }
      hitting.push(rule)
      if (kind !== "latency") {
        end = kind
        break
      }
      latencies.push(delayOf(spread!, (which) => dice(rule, which)))
    }
    const holds = end === "hang" || latencies.length > 0
    if (!this.radius.pass(hitting.length > 0, holds)) {
      account.heldBack += hitting.length > 0 ? 1 : 0
      return undefined
    }
    account.disturbed++
    for (const rule of hitting) {
      rule.hits++
      account.faults[rule.rule.fault.kind]++
    }
    return { injector: this, latencies, end, holds }
  }
}

/** @internal */
export const none: HashSet.HashSet<Injector> = HashSet.empty<Injector>()

/**
 * The injectors of the fiber. A set with a patch, as the listeners are, so that two merged layers add to each other.
 *
 * @internal
 */
export const active: FiberRef.FiberRef<HashSet.HashSet<Injector>> = globalValue(
  Symbol.for("@holdfast/core/Chaos/active"),
  () => FiberRef.unsafeMakeHashSet(none)
)
