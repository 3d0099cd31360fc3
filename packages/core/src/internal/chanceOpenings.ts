/**
 * How often a circuit breaker opens by chance: the expected number of ends until it does, when each of them fails with the same
 * probability and independently of the others.
 */
import { CircuitBreakerMachine } from "../CircuitBreakerMachine.js"
import * as TripPolicy from "../TripPolicy.js"

/** @internal */
export interface Expected {
  /** Ends until it opens, counted from a clean start; `Infinity` for never. */
  readonly ends: number
  /** `simulated`: played on the real machine. `moreThan`: it opened too seldom there for a figure. */
  readonly method: "exact" | "simulated" | "moreThan"
}

/** So many last ends are remembered one by one: 2^14 histories are gone through in some milliseconds. */
const mostRemembered = 14

/** Ends that are played where there is no exact way. */
const played = 100_000

/** Fewer openings than this in all that was played say too little. */
const fewestOpenings = 10

const consecutive = (failures: number, rate: number): number =>
  rate === 1 ? failures : (1 - rate ** failures) / (rate ** failures * (1 - rate))

const onesOf = (bits: number): number => {
  let ones = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) {
    ones++
  }
  return ones
}

/** The number of last ends that decides, or `undefined` if time does, or too many do. */
const remembered = (policies: ReadonlyArray<TripPolicy.TripPolicy>): number | undefined => {
  let most = 0
  for (const policy of policies) {
    const needs = policy._tag === "Consecutive"
      ? policy.failures
      : policy._tag === "FailureRate" && policy.window._tag === "Calls"
      ? policy.window.size
      : Infinity
    most = Math.max(most, needs)
  }
  return most <= mostRemembered ? most : undefined
}

const trips = (policy: TripPolicy.TripPolicy, history: number, recorded: number): boolean => {
  if (policy._tag === "Consecutive") {
    const run = (1 << policy.failures) - 1
    return recorded >= policy.failures && (history & run) === run
  }
  if (policy._tag !== "FailureRate" || policy.window._tag !== "Calls") {
    return false
  }
  const calls = Math.min(recorded, policy.window.size)
  const failures = onesOf(history & ((1 << policy.window.size) - 1))
  return calls >= policy.minimumCalls && failures / calls >= policy.threshold
}

/**
 * The chain of all histories of the last `size` ends. As soon as the chance of opening at the next end no longer changes, what is
 * left of the sum is a geometric series.
 */
const markov = (policies: ReadonlyArray<TripPolicy.TripPolicy>, size: number, rate: number): number => {
  const mask = (1 << size) - 1
  let closed = new Float64Array(mask + 1)
  closed[0] = 1
  let alive = 1
  let expected = 0
  let hazard = -1
  for (let end = 1; end <= 20_000; end++) {
    expected += alive
    const next = new Float64Array(mask + 1)
    let opened = 0
    for (let history = 0; history <= mask; history++) {
      const weight = closed[history]!
      if (weight === 0) {
        continue
      }
      for (let failed = 0; failed < 2; failed++) {
        const after = ((history << 1) | failed) & mask
        const share = weight * (failed === 1 ? rate : 1 - rate)
        if (policies.some((policy) => trips(policy, after, end))) {
          opened += share
        } else {
          next[after]! += share
        }
      }
    }
    const present = opened / alive
    alive -= opened
    closed = next
    if (alive < 1e-300) {
      return expected
    }
    // Early on nothing can open at all, and the chance stays the same for another reason.
    if (end > 3 * size && present > 0 && Math.abs(present - hazard) < 1e-12 * present) {
      return expected + alive / present
    }
    hazard = present
  }
  return hazard > 0 ? expected + alive / hazard : Infinity
}

/** Numbers from [0, 1) that are the same in every run. */
const seeded = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const simulated = (tripPolicy: TripPolicy.TripPolicy, rate: number, perSecond: number): Expected => {
  const half = () => 0.5
  const draw = seeded(20_231)
  const machine = new CircuitBreakerMachine({
    tripPolicy,
    openMillis: () => 1,
    openJitter: 0,
    maxOpenMillis: 1,
    probes: 1,
    successThreshold: 1,
    probeTimeoutMillis: 1,
    dryRun: false
  }, 0)
  let openings = 0
  for (let end = 0, now = 0; end < played; end++, now += 1000 / perSecond) {
    const ticket = machine.enter(now, half)
    machine.record(ticket, draw() < rate ? "failure" : "success", 0, now, half)
    if (machine.state._tag !== "Closed") {
      openings++
      machine.reset(now)
    }
  }
  return openings < fewestOpenings
    ? { ends: played / fewestOpenings, method: "moreThan" }
    : { ends: played / openings, method: "simulated" }
}

/** @internal */
export const expectedEnds = (tripPolicy: TripPolicy.TripPolicy, rate: number, perSecond: number): Expected => {
  // Slow calls are no failures.
  const policies = TripPolicy.flatten(tripPolicy).filter((policy) => policy._tag !== "SlowCallRate")
  if (policies.length === 0 || rate === 0) {
    return { ends: Infinity, method: "exact" }
  }
  const only = policies[0]!
  if (policies.length === 1 && only._tag === "Consecutive") {
    return { ends: consecutive(only.failures, rate), method: "exact" }
  }
  const size = remembered(policies)
  return size === undefined
    ? simulated(TripPolicy.any(...policies), rate, perSecond)
    : { ends: markov(policies, size, rate), method: "exact" }
}
