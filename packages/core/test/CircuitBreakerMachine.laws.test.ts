import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import type { Config, State, Verdict } from "../src/CircuitBreakerMachine.js"
import { CircuitBreakerMachine, isProbe } from "../src/CircuitBreakerMachine.js"
import * as TripPolicy from "../src/TripPolicy.js"
import * as Window from "../src/Window.js"

/** Asks the assertion library only when it has something to say: the laws compare millions of times. */
const same = <A>(actual: A, expected: A): void => {
  if (actual !== expected) assert.strictEqual(actual, expected)
}

interface Finished {
  readonly at: number
  readonly failed: boolean
  readonly took: number
}

/** What the oracle knows: every call that counted since the breaker was closed, and when those in flight began. */
interface Past {
  readonly finished: ReadonlyArray<Finished>
  readonly inFlight: ReadonlyArray<number>
}

const inWindow = (window: Window.Window, finished: ReadonlyArray<Finished>, now: number): ReadonlyArray<Finished> => {
  if (window._tag === "Calls") return finished.slice(-window.size)
  const slice = (at: number): number => Math.floor(at / (window.millis / window.slices))
  return finished.filter(({ at }) => slice(now) - slice(at) < window.slices)
}

/** The oracle: whether a policy trips, said by lists alone. `ended` is whether a call has just finished. */
const trips = (policy: TripPolicy.TripPolicy, past: Past, now: number, ended: boolean): boolean => {
  switch (policy._tag) {
    case "Any":
      return policy.policies.some((each) => trips(each, past, now, ended))
    case "Consecutive": {
      const last = past.finished.slice(-policy.failures)
      return ended && last.length === policy.failures && last.every(({ failed }) => failed)
    }
    case "FailureRate": {
      const calls = inWindow(policy.window, past.finished, now)
      const failures = calls.filter(({ failed }) => failed).length
      return ended && calls.length >= policy.minimumCalls && failures / calls.length >= policy.threshold
    }
    case "Failures": {
      const last = past.finished.filter(({ failed }) => failed).slice(-policy.failures)
      const justFailed = ended && past.finished[past.finished.length - 1]!.failed
      return justFailed && last.length === policy.failures && now - last[0]!.at <= policy.withinMillis
    }
    case "SlowCallRate": {
      const calls = inWindow(policy.window, past.finished, now)
      const hanging = past.inFlight.filter((start) => now - start > policy.slowerThanMillis).length
      const slow = calls.filter(({ took }) => took > policy.slowerThanMillis).length + hanging
      const all = calls.length + hanging
      return (ended || hanging > 0) && all >= policy.minimumCalls && slow / all >= policy.threshold
    }
  }
}

const windows = [Window.calls(1), Window.calls(5), Window.calls(12), Window.time(300, 3), Window.time(1000)]
const aWindow = fc.constantFrom(...windows)
const threshold = fc.constantFrom(0.1, 0.3, 0.5, 0.6, 0.9, 1)
const policies = {
  Consecutive: fc.integer({ min: 1, max: 6 }).map(TripPolicy.consecutive),
  FailureRate: fc
    .record({ threshold, window: aWindow, minimumCalls: fc.integer({ min: 1, max: 6 }) })
    .map(TripPolicy.failureRate),
  Failures: fc
    .record({ n: fc.integer({ min: 1, max: 6 }), within: fc.integer({ min: 0, max: 400 }) })
    .map(({ n, within }) => TripPolicy.failures(n, { within })),
  SlowCallRate: fc
    .record({
      slowerThan: fc.integer({ min: 1, max: 150 }),
      threshold,
      window: aWindow,
      minimumCalls: fc.integer({ min: 1, max: 6 })
    })
    .map(TripPolicy.slowCallRate)
}
const anyOf = fc
  .array(fc.oneof(...Object.values(policies)), { minLength: 1, maxLength: 4 })
  .map((several) => TripPolicy.any(...several))

const verdict = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Verdict>("success") },
  { weight: 5, arbitrary: fc.constant<Verdict>("failure") },
  { weight: 2, arbitrary: fc.constant<Verdict>("ignored") }
)

const config = (changes: Partial<Config>): Config => ({
  tripPolicy: TripPolicy.consecutive(3),
  openMillis: (failedProbes) => 100 * (failedProbes + 1),
  openJitter: 0.1,
  maxOpenMillis: 350,
  probes: 1,
  successThreshold: 1,
  probeTimeoutMillis: 120,
  dryRun: false,
  ...changes
})

describe("opening", () => {
  const steps = fc.array(
    fc.record({
      wait: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, {
        weight: 3,
        arbitrary: fc.integer({ min: 1, max: 120 })
      }),
      kind: fc.constantFrom("enter", "call", "call", "end", "end"),
      which: fc.nat(1000),
      verdict,
      took: fc.integer({ min: 0, max: 200 })
    }),
    { minLength: 5, maxLength: 60 }
  )

  for (const [name, policy] of Object.entries({ ...policies, Any: anyOf })) {
    it(`happens when a list of the calls says so, and only then: ${name}`, () => {
      const taken = { byResult: 0, byHanging: 0, stayedClosed: 0, ignored: 0 }
      fc.assert(
        fc.property(policy, steps, (tripPolicy, history) => {
          const machine = new CircuitBreakerMachine(config({ tripPolicy }), 0)
          const finished: Array<Finished> = []
          const open: Array<{ readonly ticket: number; readonly start: number }> = []
          let now = 0
          const past = (): Past => ({ finished, inFlight: open.map(({ start }) => start) })
          for (const step of history) {
            now += step.wait
            if (step.kind !== "end") {
              const expected = trips(tripPolicy, past(), now, false)
              const ticket = machine.enter(now, () => 0.5)
              same(ticket === 0, expected)
              if (expected) {
                taken.byHanging++
                same(machine.state._tag, "Open")
                return
              }
              open.push({ ticket, start: now })
            }
            if (step.kind !== "enter" && open.length > 0) {
              const [ending] = open.splice(step.kind === "call" ? open.length - 1 : step.which % open.length, 1)
              const counts = step.verdict !== "ignored"
              if (counts) finished.push({ at: now, failed: step.verdict === "failure", took: step.took })
              const expected = counts && trips(tripPolicy, past(), now, true)
              same(true, machine.record(ending!.ticket, step.verdict, step.took, now, () => 0.5))
              same(machine.state._tag, expected ? "Open" : "Closed")
              if (!counts) taken.ignored++
              if (expected) {
                taken.byResult++
                return
              }
            }
          }
          taken.stayedClosed++
        }),
        { numRuns: 1500, seed: 31 }
      )
      assert.isAbove(taken.byResult, 300)
      assert.isAbove(taken.stayedClosed, 20)
      assert.isAbove(taken.ignored, 300)
      if (name === "SlowCallRate" || name === "Any") assert.isAbove(taken.byHanging, 50)
    })
  }
})

/** A call given out by the machine, and what the test knows of it. */
interface Outstanding {
  readonly ticket: number
  readonly generation: number
  readonly start: number
  readonly probe: boolean
  reclaimed: boolean
}

type Edge =
  | "Closed>Open"
  | "Open>HalfOpen"
  | "HalfOpen>Open"
  | "HalfOpen>Closed"
  | "Closed>Isolated"
  | "Open>Isolated"
  | "HalfOpen>Isolated"
  | "Disabled>Isolated"
  | "Closed>Disabled"
  | "Open>Disabled"
  | "HalfOpen>Disabled"
  | "Isolated>Disabled"
  | "Open>Closed"
  | "Isolated>Closed"
  | "Disabled>Closed"

type Decision =
  | "admitted"
  | "probe"
  | "rejected open"
  | "rejected probing"
  | "rejected isolated"
  | "reclaimed"
  | "late"
  | "late probe"
  | "ignored probe"
  | "reset while closed"

describe("a random history", () => {
  const commands = fc.array(
    fc.record({
      kind: fc.oneof(
        { weight: 24, arbitrary: fc.constant("enter" as const) },
        { weight: 24, arbitrary: fc.constant("end" as const) },
        { weight: 8, arbitrary: fc.constant("wait until due" as const) },
        { weight: 3, arbitrary: fc.constant("wait until reclaimed" as const) },
        { weight: 1, arbitrary: fc.constant("isolate" as const) },
        { weight: 1, arbitrary: fc.constant("disable" as const) },
        { weight: 4, arbitrary: fc.constant("reset" as const) }
      ),
      wait: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        { weight: 4, arbitrary: fc.integer({ min: 1, max: 20 }) },
        { weight: 1, arbitrary: fc.integer({ min: 20, max: 200 }) }
      ),
      which: fc.nat(1000),
      verdict,
      draw: fc.integer({ min: 0, max: 99 }).map((n) => n / 100)
    }),
    { minLength: 60, maxLength: 90 }
  )

  const numbers = fc.record({
    consecutive: fc.integer({ min: 1, max: 3 }),
    probes: fc.integer({ min: 1, max: 4 }),
    successThreshold: fc.integer({ min: 1, max: 4 })
  })

  it("keeps every law of the breaker, over every edge", () => {
    const edges = new Map<string, number>()
    const decisions = new Map<Decision, number>()
    const decided = (decision: Decision): unknown => decisions.set(decision, (decisions.get(decision) ?? 0) + 1)

    fc.assert(
      fc.property(numbers, commands, ({ consecutive, ...changes }, history) => {
        const settings = config({ ...changes, tripPolicy: TripPolicy.consecutive(consecutive) })
        const machine = new CircuitBreakerMachine(settings, 0)
        let outstanding: Array<Outstanding> = []
        let now = 0
        let late = 0
        let trips = 0
        let draws = 0
        let inARow = 0
        let successes = 0

        /** The state changed to what the model says, by one generation; or it is the very same object. */
        const follow = (before: State, to: State["_tag"] | "same"): void => {
          const after = machine.state
          if (to === "same") {
            same(after, before)
            return
          }
          same(after._tag, to)
          same(after.generation, before.generation + 1)
          same(after.since, now)
          edges.set(`${before._tag}>${to}`, (edges.get(`${before._tag}>${to}`) ?? 0) + 1)
          successes = 0
          if (to === "Closed") inARow = 0
          if (after._tag === "Open") {
            trips++
            const failedProbes = before._tag === "HalfOpen" ? before.failedProbes + 1 : 0
            const whole = Math.min(350, 100 * (failedProbes + 1))
            same(after.failedProbes, failedProbes)
            same(after.until, now + after.openMillis)
            assert.isAtLeast(after.openMillis, whole * 0.9 - 1e-9)
            assert.isAtMost(after.openMillis, Math.min(350, whole * 1.1 + 1e-9))
          }
          if (after._tag === "HalfOpen") same(before._tag === "Open" ? before.failedProbes : -1, after.failedProbes)
        }
        const probesOf = (generation: number): ReadonlyArray<Outstanding> =>
          outstanding.filter((call) => call.probe && !call.reclaimed && call.generation === generation)

        for (const command of history) {
          now += command.wait
          const before = machine.state
          const draw = (): number => {
            draws++
            return command.draw
          }
          const drawsBefore = draws
          if (command.kind === "wait until due") {
            if (before._tag === "Open") now = Math.max(now, before.until)
          } else if (command.kind === "wait until reclaimed") {
            const oldest = probesOf(before.generation)[0]
            if (oldest !== undefined) now = Math.max(now, oldest.start + settings.probeTimeoutMillis)
          }
          switch (command.kind) {
            case "wait until due":
            case "wait until reclaimed":
            case "enter": {
              const due = before._tag === "Open" && now >= before.until
              same(machine.isDue(now), due)
              if (before._tag === "HalfOpen") {
                for (const hung of probesOf(before.generation)) {
                  if (now < hung.start + settings.probeTimeoutMillis) continue
                  hung.reclaimed = true
                  decided("reclaimed")
                }
              }
              const held = probesOf(before.generation)
              const ticket = machine.enter(now, draw)
              follow(before, due ? "HalfOpen" : "same")
              const free = due || (before._tag === "HalfOpen" && held.length < settings.probes)
              const passes = before._tag === "Closed" || before._tag === "Disabled"
              same(ticket > 0, free || passes)
              if (ticket > 0) {
                same(isProbe(ticket), free)
                decided(free ? "probe" : "admitted")
                outstanding.push({
                  ticket,
                  generation: machine.state.generation,
                  start: now,
                  probe: free,
                  reclaimed: false
                })
              } else {
                const { reason, retryAfterMillis } = machine.rejection(now)
                decided(`rejected ${reason}`)
                same(
                  reason,
                  before._tag === "Open" ? "open" : before._tag === "HalfOpen" ? "probing" : "isolated"
                )
                same(
                  retryAfterMillis,
                  before._tag === "Open"
                    ? before.until - now
                    : before._tag === "HalfOpen"
                    ? held[0]!.start + settings.probeTimeoutMillis - now
                    : undefined
                )
              }
              same(draws, drawsBefore)
              break
            }
            case "end": {
              if (outstanding.length === 0) break
              const [call] = outstanding.splice(command.which % outstanding.length, 1)
              const stale = call!.generation !== before.generation || call!.reclaimed
              const snapshot = machine.snapshot(now)
              same(machine.record(call!.ticket, command.verdict, 1, now, draw), !stale)
              let to: State["_tag"] | "same" = "same"
              if (stale) {
                late++
                decided(call!.probe ? "late probe" : "late")
                assert.deepStrictEqual(machine.snapshot(now), { ...snapshot, late: snapshot.late + 1 })
              } else if (command.verdict === "ignored") {
                if (call!.probe) decided("ignored probe")
              } else if (call!.probe) {
                if (command.verdict === "failure") to = "Open"
                else if (++successes >= settings.successThreshold) to = "Closed"
              } else if (before._tag === "Closed") {
                inARow = command.verdict === "failure" ? inARow + 1 : 0
                if (inARow >= consecutive) to = "Open"
              }
              follow(before, to)
              same(draws - drawsBefore, to === "Open" ? 1 : 0)
              break
            }
            case "isolate":
              machine.isolate(now)
              follow(before, before._tag === "Isolated" ? "same" : "Isolated")
              break
            case "disable":
              machine.disable(now)
              follow(before, before._tag === "Disabled" ? "same" : "Disabled")
              break
            case "reset":
              machine.reset(now)
              follow(before, before._tag === "Closed" ? "same" : "Closed")
              if (before._tag === "Closed") decided("reset while closed")
              inARow = 0
              break
          }
          const snapshot = machine.snapshot(now)
          same(snapshot.probesInFlight, probesOf(machine.state.generation).length)
          assert.isAtMost(snapshot.probesInFlight, settings.probes)
          same(snapshot.probeSuccesses, successes)
          same(snapshot.late, late)
          same(snapshot.trips, trips)
          same(snapshot.consecutiveFailures, inARow)
          if (outstanding.length > 40) outstanding = outstanding.slice(-40)
        }
      }),
      { numRuns: 1000, seed: 32 }
    )

    const often: Record<Edge, number> = {
      "Closed>Open": 1000,
      "Open>HalfOpen": 800,
      "HalfOpen>Open": 300,
      "HalfOpen>Closed": 400,
      "Closed>Isolated": 100,
      "Open>Isolated": 50,
      "HalfOpen>Isolated": 50,
      "Disabled>Isolated": 50,
      "Closed>Disabled": 100,
      "Open>Disabled": 50,
      "HalfOpen>Disabled": 50,
      "Isolated>Disabled": 50,
      "Open>Closed": 100,
      "Isolated>Closed": 100,
      "Disabled>Closed": 100
    }
    for (const [edge, least] of Object.entries(often)) assert.isAtLeast(edges.get(edge) ?? 0, least, edge)
    assert.includeMembers([...Object.keys(often)], [...edges.keys()])
    const every: ReadonlyArray<Decision> = [
      "admitted",
      "probe",
      "rejected open",
      "rejected probing",
      "rejected isolated",
      "reclaimed",
      "late",
      "late probe",
      "ignored probe",
      "reset while closed"
    ]
    for (const decision of every) assert.isAtLeast(decisions.get(decision) ?? 0, 100, decision)
  })

  it("never sticks, whichever way the clock steps: who waits as long as he is told is let in or told again", () => {
    const taken = { back: 0, forward: 0, waited: 0, probing: 0 }
    const steps = fc.array(
      fc.record({
        step: fc.oneof(
          { weight: 5, arbitrary: fc.integer({ min: 0, max: 60 }) },
          { weight: 1, arbitrary: fc.integer({ min: -1_000_000, max: -1 }) },
          { weight: 1, arbitrary: fc.integer({ min: 1000, max: 1_000_000 }) }
        ),
        verdict,
        hang: fc.nat(3).map((n) => n === 0)
      }),
      { minLength: 10, maxLength: 60 }
    )
    fc.assert(
      fc.property(anyOf, fc.integer({ min: 1, max: 3 }), steps, (tripPolicy, probes, history) => {
        const machine = new CircuitBreakerMachine(config({ tripPolicy, probes, successThreshold: probes }), 0)
        let now = 0
        for (const { hang, step, verdict: outcome } of history) {
          now += step
          if (step < 0) taken.back++
          if (step >= 1000) taken.forward++
          let ticket = machine.enter(now, () => 0)
          if (ticket === 0) {
            const { reason, retryAfterMillis } = machine.rejection(now)
            assert.isAtLeast(retryAfterMillis!, 0)
            assert.isAtMost(retryAfterMillis!, reason === "open" ? 350 : 120)
            taken[reason === "open" ? "waited" : "probing"]++
            // A little more than told: the sum of two readings is rounded.
            now += retryAfterMillis! + 1e-3
            ticket = machine.enter(now, () => 0)
            assert.isAbove(ticket, 0)
          }
          if (!hang) machine.record(ticket, outcome, 1, now, () => 0)
        }
      }),
      { numRuns: 1000, seed: 33 }
    )
    for (const [edge, times] of Object.entries(taken)) assert.isAbove(times, 300, edge)
  })
})
