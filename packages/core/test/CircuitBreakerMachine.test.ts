import { assert, describe, it } from "@effect/vitest"
import type { Config, Snapshot, State, Verdict } from "../src/CircuitBreakerMachine.js"
import { CircuitBreakerMachine, isProbe } from "../src/CircuitBreakerMachine.js"
import * as TripPolicy from "../src/TripPolicy.js"
import * as Window from "../src/Window.js"

const base: Config = {
  tripPolicy: TripPolicy.consecutive(3),
  openMillis: (failedProbes) => 1000 * 2 ** failedProbes,
  openJitter: 0,
  maxOpenMillis: 5000,
  probes: 1,
  successThreshold: 1,
  probeTimeoutMillis: 500,
  dryRun: false
}

const noDraw = (): number => assert.fail("a random number was drawn without need")

interface Bench {
  readonly machine: CircuitBreakerMachine
  readonly config: Config
  readonly tickets: Map<string, number>
}

type Step = (bench: Bench) => void

// What a step does to the machine and what must come of it. Arguments: when, what, then what is expected.
const enter = (at: number, name: string): Step => ({ machine, tickets }) => {
  const ticket = machine.enter(at, noDraw)
  assert.isAbove(ticket, 0, `${name} at ${at} is admitted`)
  assert.isFalse(isProbe(ticket), `${name} at ${at} is no probe`)
  tickets.set(name, ticket)
}
const probe = (at: number, name: string): Step => ({ machine, tickets }) => {
  const ticket = machine.enter(at, noDraw)
  assert.isAbove(ticket, 0, `${name} at ${at} is admitted`)
  assert.isTrue(isProbe(ticket), `${name} at ${at} is a probe`)
  assert.strictEqual(machine.state._tag, "HalfOpen")
  tickets.set(name, ticket)
}
const rejected = (at: number, reason: string, retryAfterMillis: number | undefined): Step => ({ machine }) => {
  assert.strictEqual(machine.enter(at, noDraw), 0, `a call at ${at} is rejected`)
  assert.deepStrictEqual<unknown>(machine.rejection(at), { reason, retryAfterMillis })
}
const end = (at: number, name: string, verdict: Verdict, took = 1, retryAfter?: number): Step => (bench) => {
  assert.isTrue(bench.machine.record(bench.tickets.get(name)!, verdict, took, at, noDraw, retryAfter), `${name} counts`)
}
const late = (at: number, name: string, verdict: Verdict): Step => ({ machine, tickets }) => {
  const before = machine.snapshot(at)
  assert.isFalse(machine.record(tickets.get(name)!, verdict, 1, at, noDraw), `${name} at ${at} is late`)
  assert.deepStrictEqual(machine.snapshot(at), { ...before, late: before.late + 1 })
}
const call = (at: number, verdict: Verdict, times = 1, took = 1): Step => ({ machine }) => {
  for (let time = 0; time < times; time++) {
    const ticket = machine.enter(at, noDraw)
    assert.isAbove(ticket, 0, `a call at ${at} is admitted`)
    assert.isTrue(machine.record(ticket, verdict, took, at, noDraw))
  }
}
const is = (state: Partial<State> & Pick<State, "_tag">): Step => ({ machine }) => {
  assert.deepStrictEqual<unknown>({ ...machine.state, ...state }, machine.state)
}
const reads = (at: number, expected: Partial<Snapshot>): Step => ({ machine }) => {
  const snapshot = machine.snapshot(at)
  assert.deepStrictEqual({ ...snapshot, ...expected }, snapshot)
}
const due = (at: number, expected: boolean): Step => ({ machine }) => assert.strictEqual(machine.isDue(at), expected)
const by = (hand: "isolate" | "disable" | "reset", at: number): Step => ({ machine }) => machine[hand](at)
const reconfigure = (at: number, changes: Partial<Config>): Step => ({ config, machine }) =>
  machine.reconfigure({ ...config, ...changes }, at)

/** Three failures at 0: open until 1,000. */
const opened = call(0, "failure", 3)

const rate = (
  threshold: number,
  minimumCalls: number,
  window: Window.Window = Window.calls(10)
): TripPolicy.TripPolicy => TripPolicy.failureRate({ threshold, window, minimumCalls })
const slowRate = (
  threshold: number,
  minimumCalls: number,
  window: Window.Window = Window.calls(10)
): TripPolicy.SlowCallRate => TripPolicy.slowCallRate({ slowerThan: 100, threshold, window, minimumCalls })

const rows: ReadonlyArray<readonly [name: string, config: Partial<Config>, steps: ReadonlyArray<Step>]> = [
  // Closed, and how it opens
  ["it starts closed in generation 1", {}, [is({ _tag: "Closed", generation: 1, since: 0 }), due(1e9, false)]],
  ["failures in a row below the number keep it closed", {}, [
    call(1, "failure", 2),
    is({ _tag: "Closed", generation: 1 }),
    reads(1, { consecutiveFailures: 2, calls: 2, failures: 2, slow: 0, trips: 0 })
  ]],
  ["the last failure in a row opens it", {}, [
    call(1, "failure", 2),
    call(7, "failure"),
    is({ _tag: "Open", generation: 2, since: 7, until: 1007, openMillis: 1000, failedProbes: 0 }),
    reads(7, { trips: 1, consecutiveFailures: 3 })
  ]],
  ["a success starts the count of failures in a row again", {}, [
    call(1, "failure", 2),
    call(1, "success"),
    reads(1, { consecutiveFailures: 0, calls: 3, failures: 2 }),
    call(1, "failure", 2),
    is({ _tag: "Closed" }),
    call(1, "failure"),
    is({ _tag: "Open" })
  ]],
  ["A09: a hundred cancelled calls are neutral", {
    tripPolicy: TripPolicy.any(rate(0.5, 1), TripPolicy.consecutive(2))
  }, [
    call(0, "success"),
    call(0, "ignored", 100),
    is({ _tag: "Closed", generation: 1 }),
    reads(0, { calls: 1, failures: 0, consecutiveFailures: 0 })
  ]],
  ["an ignored result between failures does not start their count again", {}, [
    call(0, "failure", 2),
    call(0, "ignored"),
    call(0, "failure"),
    is({ _tag: "Open" })
  ]],
  ["A13: the first call ever fails and 50 % opens nothing below the minimum", { tripPolicy: rate(0.5, 2) }, [
    call(0, "failure"),
    is({ _tag: "Closed" }),
    reads(0, { calls: 1, failures: 1 }),
    call(0, "success"),
    is({ _tag: "Open" })
  ]],
  ["A14: a rate equal to the threshold opens", { tripPolicy: rate(0.5, 4) }, [
    call(0, "success", 2),
    call(0, "failure"),
    is({ _tag: "Closed" }),
    call(0, "failure"),
    is({ _tag: "Open" })
  ]],
  ["A14: a rate just below the threshold does not", { tripPolicy: rate(0.51, 4) }, [
    call(0, "success", 2),
    call(0, "failure", 2),
    is({ _tag: "Closed" })
  ]],
  ["A14: three of ten are 30 %, and three of thirty 10 %, without a rounding error", {
    tripPolicy: TripPolicy.any(rate(0.3, 10), rate(0.1, 30, Window.calls(30)))
  }, [
    call(0, "success", 7),
    call(0, "failure", 2),
    is({ _tag: "Closed" }),
    call(0, "failure"),
    is({ _tag: "Open" }),
    by("reset", 0),
    reconfigure(0, { tripPolicy: rate(0.1, 30, Window.calls(30)) }),
    call(0, "failure", 3),
    call(0, "success", 26),
    is({ _tag: "Closed" }),
    call(0, "success"),
    is({ _tag: "Open" })
  ]],
  ["a rate sees only the calls in its window", { tripPolicy: rate(0.5, 4, Window.calls(4)) }, [
    call(0, "success", 10),
    call(0, "failure"),
    is({ _tag: "Closed" }),
    call(0, "failure"),
    is({ _tag: "Open" })
  ]],
  ["A15: idle windows leave nothing of the failures before them", { tripPolicy: rate(0.5, 5, Window.time(1000)) }, [
    call(0, "failure", 4),
    call(11_000, "failure"),
    is({ _tag: "Closed" }),
    reads(11_000, { calls: 1, failures: 1 })
  ]],
  ["A16: the failure that rotates a slice counts in the window it opens", {
    tripPolicy: rate(0.5, 3, Window.time(1000))
  }, [
    call(0, "success"),
    call(100, "failure"),
    call(1000, "failure"),
    call(1099, "failure"),
    is({ _tag: "Open", since: 1099 })
  ]],
  ["n failures within a span open it, successes between them or not", {
    tripPolicy: TripPolicy.failures(3, { within: 100 })
  }, [
    call(0, "failure"),
    call(50, "success", 5),
    call(60, "failure"),
    is({ _tag: "Closed" }),
    call(100, "failure"),
    is({ _tag: "Open", since: 100 })
  ]],
  ["n failures spread over more than the span do not", { tripPolicy: TripPolicy.failures(3, { within: 100 }) }, [
    call(0, "failure"),
    call(60, "failure"),
    call(101, "failure"),
    is({ _tag: "Closed" }),
    call(161, "failure"),
    is({ _tag: "Closed" }),
    call(162, "failure"),
    is({ _tag: "Open", since: 162 })
  ]],
  ["fewer failures than n never trip, not even within an endless span", {
    tripPolicy: TripPolicy.failures(3, { within: Infinity })
  }, [call(0, "failure", 2), is({ _tag: "Closed" }), call(1e12, "failure"), is({ _tag: "Open" })]],
  ["one failure is enough for failures(1)", { tripPolicy: TripPolicy.failures(1, { within: 0 }) }, [
    call(0, "success"),
    is({ _tag: "Closed" }),
    call(0, "failure"),
    is({ _tag: "Open" })
  ]],
  ["failures before the clock stepped back keep their age", { tripPolicy: TripPolicy.failures(2, { within: 100 }) }, [
    call(1000, "failure"),
    call(1090, "success"),
    call(0, "success"),
    call(11, "failure"),
    is({ _tag: "Closed" }),
    call(111, "failure"),
    is({ _tag: "Open" })
  ]],
  ["any of several policies opens it, and each sees every call", {
    tripPolicy: TripPolicy.any(
      TripPolicy.consecutive(5),
      TripPolicy.any(TripPolicy.consecutive(4), rate(0.9, 10)),
      TripPolicy.failures(3, { within: 10 })
    )
  }, [
    call(0, "failure"),
    call(20, "failure"),
    call(40, "failure"),
    is({ _tag: "Closed" }),
    call(60, "failure"),
    is({ _tag: "Open", since: 60 }),
    reads(60, { calls: 4, failures: 4 })
  ]],
  ["A11: nothing is admitted after the decision, and what is in flight changes nothing", {}, [
    enter(0, "a"),
    enter(0, "b"),
    opened,
    rejected(0, "open", 1000),
    late(1, "a", "failure"),
    late(1, "b", "success"),
    is({ _tag: "Open", generation: 2 })
  ]],

  // Open, and how it ends
  ["an open breaker rejects and says for how long", {}, [
    opened,
    rejected(0, "open", 1000),
    rejected(999.5, "open", 0.5),
    due(999.5, false),
    due(1000, true),
    is({ _tag: "Open" })
  ]],
  ["A20: due by the clock alone, the next call is the probe", {}, [
    opened,
    probe(1000, "probe"),
    is({ _tag: "HalfOpen", generation: 3, since: 1000, failedProbes: 0 }),
    due(1000, false),
    reads(1000, { probesInFlight: 1, probeSuccesses: 0 })
  ]],
  ["a step of the clock far forward makes it due", {}, [opened, due(1e15, true), probe(1e15, "probe")]],
  ["A12: failures that land while it is open do not extend the period", {}, [
    enter(0, "a"),
    enter(0, "b"),
    opened,
    late(900, "a", "failure"),
    late(901, "b", "failure"),
    is({ _tag: "Open", generation: 2, since: 0, until: 1000 }),
    reads(901, { trips: 1 }),
    probe(1000, "probe")
  ]],
  ["a clock that steps back does not lengthen the period", {}, [
    call(50_000, "failure", 3),
    rejected(50_400, "open", 600),
    rejected(10_000, "open", 600),
    rejected(10_599, "open", 1),
    due(10_600, true),
    probe(10_600, "probe")
  ]],
  ["before a call has seen the step back, readers are not told more than was left", {}, [
    call(50_000, "failure", 3),
    ({ machine }) => {
      assert.deepStrictEqual(machine.rejection(0), { reason: "open", retryAfterMillis: 1000 })
      assert.isFalse(machine.isDue(0))
    },
    rejected(0, "open", 1000),
    due(1000, true)
  ]],
  ["the time to wait is never negative", {}, [
    opened,
    ({ machine }) => assert.deepStrictEqual(machine.rejection(5000), { reason: "open", retryAfterMillis: 0 })
  ]],

  // Half-open
  ["one successful probe closes it with clean counts", {
    tripPolicy: TripPolicy.any(rate(0.5, 3), TripPolicy.consecutive(3))
  }, [
    opened,
    probe(1000, "probe"),
    end(1010, "probe", "success"),
    is({ _tag: "Closed", generation: 4, since: 1010 }),
    reads(1010, { calls: 0, failures: 0, consecutiveFailures: 0, probesInFlight: 0, probeSuccesses: 0, trips: 1 })
  ]],
  ["A17: what opened it and its probes do not weigh on the closed window", { tripPolicy: rate(0.5, 4) }, [
    call(0, "failure", 4),
    probe(1000, "probe"),
    end(1000, "probe", "success"),
    call(1000, "failure", 3),
    is({ _tag: "Closed" }),
    reads(1000, { calls: 3, failures: 3 })
  ]],
  ["A17: failures within a span are forgotten too", { tripPolicy: TripPolicy.failures(2, { within: 1e6 }) }, [
    call(0, "failure", 2),
    probe(1000, "probe"),
    end(1000, "probe", "success"),
    call(1001, "failure"),
    is({ _tag: "Closed" })
  ]],
  ["one failed probe opens it again, for longer each time, up to the cap", {}, [
    opened,
    probe(1000, "1"),
    end(1100, "1", "failure"),
    is({ _tag: "Open", generation: 4, since: 1100, until: 3100, openMillis: 2000, failedProbes: 1 }),
    reads(1100, { probesInFlight: 0, trips: 2 }),
    rejected(3099, "open", 1),
    probe(3100, "2"),
    is({ _tag: "HalfOpen", failedProbes: 1 }),
    end(3100, "2", "failure"),
    is({ _tag: "Open", openMillis: 4000, failedProbes: 2 }),
    probe(7100, "3"),
    end(7100, "3", "failure"),
    is({ _tag: "Open", openMillis: 5000, failedProbes: 3, until: 12_100 }),
    reads(7100, { trips: 4 })
  ]],
  ["the growth starts again when it has closed", {}, [
    opened,
    probe(1000, "1"),
    end(1000, "1", "failure"),
    probe(3000, "2"),
    end(3000, "2", "success"),
    call(3000, "failure", 3),
    is({ _tag: "Open", openMillis: 1000, failedProbes: 0 })
  ]],
  ["callers beside the probe are rejected as probing until it would be given up", {}, [
    opened,
    probe(1000, "probe"),
    rejected(1000, "probing", 500),
    rejected(1499, "probing", 1),
    reads(1499, { probesInFlight: 1, reclaimed: 0 })
  ]],
  ["nothing is promised beside a probe without a time limit", { probeTimeoutMillis: Infinity }, [
    opened,
    probe(1000, "probe"),
    rejected(1e12, "probing", undefined)
  ]],
  ["nothing is promised when no probe is in flight", {}, [
    opened,
    probe(1000, "probe"),
    end(1000, "probe", "ignored"),
    ({ machine }) => assert.deepStrictEqual(machine.rejection(1000), { reason: "probing", retryAfterMillis: undefined })
  ]],
  ["the time to wait for a probe is never negative", {}, [
    opened,
    probe(1000, "probe"),
    ({ machine }) => assert.deepStrictEqual(machine.rejection(9000), { reason: "probing", retryAfterMillis: 0 })
  ]],
  ["several probes pass at once, and all must succeed", { probes: 3, successThreshold: 3 }, [
    opened,
    probe(1000, "1"),
    probe(1000, "2"),
    probe(1001, "3"),
    rejected(1001, "probing", 499),
    end(1010, "2", "success"),
    end(1010, "1", "success"),
    is({ _tag: "HalfOpen", generation: 3 }),
    reads(1010, { probesInFlight: 1, probeSuccesses: 2 }),
    end(1010, "3", "success"),
    is({ _tag: "Closed", generation: 4 })
  ]],
  ["fewer successes than probes may close it, and the others come late", { probes: 3, successThreshold: 1 }, [
    opened,
    probe(1000, "1"),
    probe(1000, "2"),
    end(1010, "2", "success"),
    is({ _tag: "Closed" }),
    late(1011, "1", "failure"),
    reads(1011, { consecutiveFailures: 0, late: 1 })
  ]],
  ["more successes than probes take several rounds", { probes: 1, successThreshold: 3 }, [
    opened,
    probe(1000, "1"),
    end(1000, "1", "success"),
    probe(1000, "2"),
    end(1000, "2", "success"),
    is({ _tag: "HalfOpen" }),
    probe(1000, "3"),
    end(1000, "3", "success"),
    is({ _tag: "Closed" })
  ]],
  ["successes of an earlier half-open period do not count in the next", { probes: 2, successThreshold: 2 }, [
    opened,
    probe(1000, "1"),
    probe(1000, "2"),
    end(1000, "1", "success"),
    end(1000, "2", "failure"),
    probe(3000, "3"),
    end(3000, "3", "success"),
    is({ _tag: "HalfOpen" }),
    reads(3000, { probeSuccesses: 1 })
  ]],
  ["A02: a hung probe is given up after its time, and its result comes late", {}, [
    opened,
    probe(1000, "hung"),
    rejected(1499.9, "probing", 1500 - 1499.9),
    probe(1500, "second"),
    reads(1500, { probesInFlight: 1, reclaimed: 1 }),
    late(1501, "hung", "failure"),
    late(1501, "hung", "success"),
    is({ _tag: "HalfOpen", generation: 3 }),
    end(1502, "second", "success"),
    is({ _tag: "Closed" })
  ]],
  ["A02: only the probes that hang are given up", { probes: 3, successThreshold: 3 }, [
    opened,
    probe(1000, "1"),
    probe(1100, "2"),
    probe(1200, "3"),
    rejected(1499, "probing", 1),
    probe(1600, "4"),
    reads(1600, { probesInFlight: 2, reclaimed: 2 }),
    late(1600, "1", "success"),
    late(1600, "2", "success"),
    end(1600, "3", "success"),
    end(1600, "4", "success"),
    is({ _tag: "HalfOpen" }),
    reads(1600, { probesInFlight: 0, probeSuccesses: 2 })
  ]],
  ["A02: a hung probe does not hold its slot for longer when the clock steps back", {}, [
    opened,
    probe(10_000, "hung"),
    rejected(10_200, "probing", 300),
    rejected(0, "probing", 300),
    probe(300, "second"),
    reads(300, { reclaimed: 1 })
  ]],
  ["A02: a probe that answers before another call asks still counts, however late", {}, [
    opened,
    probe(1000, "slow"),
    end(9000, "slow", "success"),
    is({ _tag: "Closed", since: 9000 })
  ]],
  ["A03: an interrupted probe gives its slot back at once and decides nothing", {}, [
    opened,
    probe(1000, "1"),
    rejected(1001, "probing", 499),
    end(1001, "1", "ignored"),
    is({ _tag: "HalfOpen", generation: 3 }),
    reads(1001, { probesInFlight: 0, probeSuccesses: 0 }),
    probe(1001, "2"),
    end(1002, "2", "success"),
    is({ _tag: "Closed" })
  ]],
  ["A04: ignored errors of probes neither close nor stick it", { successThreshold: 2 }, [
    opened,
    ...Array.from({ length: 50 }, (_, index) => [
      probe(1000 + index, `${index}`),
      end(1000 + index, `${index}`, "ignored")
    ]).flat(),
    is({ _tag: "HalfOpen", generation: 3 }),
    probe(1050, "last"),
    end(1050, "last", "failure"),
    is({ _tag: "Open", failedProbes: 1 })
  ]],
  ["A06: a call from before the opening neither opens nor closes the half-open period", {}, [
    enter(0, "failing"),
    enter(0, "passing"),
    opened,
    probe(1000, "probe"),
    late(1001, "failing", "failure"),
    late(1001, "passing", "success"),
    is({ _tag: "HalfOpen", generation: 3 }),
    end(1001, "probe", "success"),
    is({ _tag: "Closed" })
  ]],
  ["A06: a call from before the opening does not count once it is closed again", {
    tripPolicy: TripPolicy.consecutive(1)
  }, [
    enter(0, "old"),
    call(0, "failure"),
    probe(1000, "probe"),
    end(1000, "probe", "success"),
    late(1001, "old", "failure"),
    is({ _tag: "Closed" })
  ]],
  ["A07: a probe of one half-open period frees nothing and decides nothing in the next", {
    probes: 2,
    successThreshold: 2
  }, [
    opened,
    probe(1000, "1"),
    probe(1000, "2"),
    end(1000, "2", "failure"),
    probe(3000, "3"),
    probe(3000, "4"),
    late(3001, "1", "success"),
    late(3001, "1", "failure"),
    late(3001, "1", "ignored"),
    reads(3001, { probesInFlight: 2 }),
    rejected(3001, "probing", 499)
  ]],
  ["A08: every dropped result is counted", {}, [
    enter(0, "a"),
    enter(0, "b"),
    opened,
    reads(1, { late: 0 }),
    late(1, "a", "failure"),
    late(1, "b", "ignored"),
    reads(1, { late: 2 })
  ]],

  // By hand
  ["A18: an isolated breaker stays so when its open period ends", {}, [
    opened,
    by("isolate", 10),
    is({ _tag: "Isolated", generation: 3, since: 10 }),
    rejected(1000, "isolated", undefined),
    rejected(1e12, "isolated", undefined),
    due(1e12, false),
    by("isolate", 20),
    is({ _tag: "Isolated", generation: 3, since: 10 })
  ]],
  ["A18: a disabled breaker admits everything, counts nothing and stays so", {}, [
    opened,
    by("disable", 10),
    is({ _tag: "Disabled", generation: 3, since: 10 }),
    call(2000, "failure", 50),
    is({ _tag: "Disabled", generation: 3 }),
    reads(2000, { trips: 1, late: 0, consecutiveFailures: 3 }),
    due(2000, false),
    by("disable", 20),
    is({ _tag: "Disabled", generation: 3, since: 10 })
  ]],
  ["each manual state may follow the other", {}, [
    by("isolate", 1),
    by("disable", 2),
    is({ _tag: "Disabled", generation: 3, since: 2 }),
    by("isolate", 3),
    is({ _tag: "Isolated", generation: 4, since: 3 }),
    by("reset", 4),
    is({ _tag: "Closed", generation: 5, since: 4 })
  ]],
  ["a half-open breaker isolated by hand drops the results of its probes", {}, [
    opened,
    probe(1000, "probe"),
    by("isolate", 1001),
    late(1002, "probe", "success"),
    is({ _tag: "Isolated", generation: 4 }),
    reads(1002, { probesInFlight: 0 })
  ]],
  ["a call admitted while disabled comes late after a reset", {}, [
    by("disable", 0),
    enter(0, "a"),
    by("reset", 1),
    late(2, "a", "failure"),
    reads(2, { calls: 0, consecutiveFailures: 0 })
  ]],
  ["a reset closes it with clean counts and from the beginning of its growth", {}, [
    opened,
    probe(1000, "1"),
    end(1000, "1", "failure"),
    by("reset", 1500),
    is({ _tag: "Closed", generation: 5, since: 1500 }),
    reads(1500, { calls: 0, failures: 0, consecutiveFailures: 0, trips: 2 }),
    call(1500, "failure", 2),
    is({ _tag: "Closed" }),
    call(1500, "failure"),
    is({ _tag: "Open", openMillis: 1000, failedProbes: 0 })
  ]],
  ["a reset while closed is no change of state: counts go, calls in flight still count", {}, [
    call(0, "failure", 2),
    enter(0, "a"),
    by("reset", 1),
    is({ _tag: "Closed", generation: 1, since: 0 }),
    reads(1, { calls: 0, failures: 0, consecutiveFailures: 0 }),
    end(2, "a", "failure"),
    reads(2, { calls: 1, failures: 1, consecutiveFailures: 1 })
  ]],

  // Dry run
  ["a dry run changes state as usual, rejects nothing and counts what it would have", { dryRun: true }, [
    opened,
    is({ _tag: "Open", generation: 2 }),
    enter(1, "a"),
    enter(999, "b"),
    reads(999, { wouldHaveRejected: 2 }),
    end(999, "a", "failure"),
    is({ _tag: "Open", generation: 2 }),
    probe(1000, "probe"),
    enter(1000, "c"),
    reads(1000, { wouldHaveRejected: 3, probesInFlight: 1 }),
    end(1001, "c", "failure"),
    end(1001, "c", "success"),
    is({ _tag: "HalfOpen", generation: 3 }),
    late(1001, "b", "success"),
    end(1002, "probe", "success"),
    is({ _tag: "Closed", generation: 4 }),
    reads(1003, { wouldHaveRejected: 3 })
  ]],
  ["who isolates a breaker by hand means it in a dry run too", { dryRun: true }, [
    by("isolate", 0),
    rejected(1, "isolated", undefined),
    reads(1, { wouldHaveRejected: 0 }),
    by("reset", 2),
    opened,
    enter(3, "a"),
    reads(3, { wouldHaveRejected: 1 })
  ]],
  ["without a dry run nothing would have been rejected: it was", {}, [
    opened,
    rejected(1, "open", 999),
    reads(1, { wouldHaveRejected: 0 })
  ]],

  // Slow calls
  ["a call of exactly the limit is not slow", { tripPolicy: slowRate(0.5, 2) }, [
    call(0, "success", 4, 100),
    is({ _tag: "Closed" }),
    reads(0, { calls: 4, slow: 0 })
  ]],
  ["finished calls longer than the limit open it at the threshold", { tripPolicy: slowRate(0.5, 4) }, [
    call(0, "success", 2, 100),
    call(0, "success", 1, 101),
    is({ _tag: "Closed" }),
    reads(0, { calls: 3, slow: 1, failures: 0 }),
    call(0, "success", 1, 101),
    is({ _tag: "Open" }),
    reads(0, { calls: 4, slow: 2 })
  ]],
  ["below the minimum slow calls open nothing", { tripPolicy: slowRate(0.5, 3) }, [
    call(0, "failure", 2, 500),
    is({ _tag: "Closed" }),
    reads(0, { calls: 2, slow: 2, failures: 2 }),
    call(0, "success", 1, 1),
    is({ _tag: "Open" })
  ]],
  ["calls that hang open it before one of them has ended", { tripPolicy: slowRate(0.5, 2) }, [
    enter(0, "a"),
    enter(50, "b"),
    enter(150, "c"),
    reads(150, { calls: 1, slow: 1 }),
    rejected(151, "open", 1000),
    is({ _tag: "Open", since: 151, failedProbes: 0 }),
    late(200, "a", "success")
  ]],
  ["in a dry run calls that hang open it as well", { tripPolicy: slowRate(0.5, 1), dryRun: true }, [
    enter(0, "a"),
    enter(101, "b"),
    is({ _tag: "Open", since: 101 }),
    reads(101, { wouldHaveRejected: 1 })
  ]],
  ["a result opens it when calls in flight have become slow meanwhile", { tripPolicy: slowRate(0.6, 3) }, [
    enter(0, "a"),
    enter(0, "b"),
    enter(0, "c"),
    end(101, "c", "success", 1),
    is({ _tag: "Open", since: 101 })
  ]],
  ["a slow call counts once: in flight, then finished", { tripPolicy: slowRate(0.9, 10) }, [
    enter(0, "a"),
    enter(200, "b"),
    reads(200, { calls: 1, slow: 1 }),
    end(300, "a", "success", 300),
    reads(300, { calls: 1, slow: 1 }),
    end(301, "b", "success", 101),
    reads(301, { calls: 2, slow: 2 })
  ]],
  ["an ignored call in flight leaves without a trace, slow or not", { tripPolicy: slowRate(0.9, 10) }, [
    enter(0, "a"),
    enter(150, "b"),
    enter(160, "c"),
    reads(160, { calls: 1, slow: 1 }),
    end(170, "a", "ignored", 170),
    end(170, "c", "ignored", 10),
    reads(170, { calls: 0, slow: 0 }),
    enter(251, "d"),
    reads(251, { calls: 1, slow: 1 }),
    end(252, "b", "ignored", 102),
    reads(252, { calls: 0, slow: 0 })
  ]],
  ["calls in flight leave in any order and their places are used again", { tripPolicy: slowRate(0.9, 100) }, [
    ...Array.from({ length: 40 }, (_, index) => enter(index, `${index}`)),
    ...[39, 0, 20, 1, 38, 19, 21].map((index) => end(40, `${index}`, "ignored")),
    ...Array.from({ length: 20 }, (_, index) => enter(50 + index, `again ${index}`)),
    // 33 calls of the first lot are left; those admitted at 2 and 3 are slow at 104, one at 4 is not.
    enter(104, "late"),
    reads(104, { calls: 2, slow: 2 }),
    enter(140, "later"),
    reads(140, { calls: 33, slow: 33 }),
    enter(160, "last"),
    reads(160, { calls: 43, slow: 43 }),
    ...Array.from({ length: 20 }, (_, index) => end(161, `again ${index}`, "ignored")),
    reads(161, { calls: 33, slow: 33 })
  ]],
  ["calls in flight keep their age when the clock steps back", { tripPolicy: slowRate(0.9, 10) }, [
    enter(10_000, "a"),
    enter(10_060, "b"),
    enter(0, "c"),
    reads(0, { calls: 0, slow: 0 }),
    enter(40, "d"),
    reads(40, { calls: 0, slow: 0 }),
    enter(41, "e"),
    reads(41, { calls: 1, slow: 1 }),
    enter(101, "f"),
    reads(101, { calls: 3, slow: 3 }),
    end(0, "a", "ignored"),
    enter(0, "g"),
    reads(0, { calls: 2, slow: 2 })
  ]],
  ["calls in flight before the opening are forgotten when it closes", { tripPolicy: slowRate(0.5, 2) }, [
    enter(0, "a"),
    enter(0, "b"),
    rejected(101, "open", 1000),
    probe(1101, "probe"),
    end(1101, "probe", "success"),
    reads(1101, { calls: 0, slow: 0 }),
    enter(1102, "c"),
    enter(1103, "d"),
    late(1103, "a", "success"),
    reads(1103, { calls: 0, slow: 0 }),
    enter(1203, "e"),
    reads(1203, { calls: 1, slow: 1 }),
    end(1203, "d", "ignored"),
    end(1203, "c", "ignored"),
    reads(1203, { calls: 0, slow: 0 })
  ]],
  ["a reset while closed keeps seeing calls in flight", { tripPolicy: slowRate(0.9, 10) }, [
    enter(0, "a"),
    enter(150, "b"),
    by("reset", 151),
    reads(151, { calls: 0, slow: 0 }),
    end(152, "b", "ignored"),
    reads(152, { calls: 0, slow: 0 }),
    enter(153, "c"),
    reads(153, { calls: 1, slow: 1 }),
    by("reset", 154),
    end(155, "a", "ignored"),
    reads(155, { calls: 0, slow: 0 })
  ]],
  ["two limits for slow calls see the same calls each by its own", {
    tripPolicy: TripPolicy.any(
      slowRate(0.9, 10),
      TripPolicy.slowCallRate({ slowerThan: 200, threshold: 0.5, window: Window.calls(10), minimumCalls: 2 })
    )
  }, [
    enter(0, "a"),
    enter(0, "b"),
    enter(150, "c"),
    reads(150, { calls: 2, slow: 2 }),
    rejected(201, "open", 1000)
  ]],

  // New numbers
  ["new numbers keep state, generation and counts where the window has the same shape", { tripPolicy: rate(0.5, 10) }, [
    call(0, "failure", 4),
    reconfigure(1, { tripPolicy: rate(0.6, 5) }),
    is({ _tag: "Closed", generation: 1, since: 0 }),
    reads(1, { calls: 4, failures: 4 }),
    call(1, "failure"),
    is({ _tag: "Open" })
  ]],
  ["a window of another shape starts empty", { tripPolicy: rate(0.5, 10) }, [
    call(0, "failure", 4),
    reconfigure(1, { tripPolicy: rate(0.5, 5, Window.calls(11)) }),
    reads(1, { calls: 0, failures: 0 }),
    call(1, "failure"),
    is({ _tag: "Closed" })
  ]],
  ["each window of a new policy takes the counts of one old window", {
    tripPolicy: TripPolicy.any(rate(0.9, 10), rate(0.9, 10))
  }, [
    call(0, "failure", 4),
    reconfigure(0, {
      tripPolicy: TripPolicy.any(slowRate(0.9, 10), rate(0.9, 10), rate(0.9, 10), rate(0.5, 1))
    }),
    reads(0, { calls: 0 }),
    call(0, "success"),
    reads(0, { calls: 1 }),
    is({ _tag: "Closed" }),
    call(0, "failure"),
    is({ _tag: "Open" })
  ]],
  ["no count goes over to a policy of another kind, though the window has the same shape", {
    tripPolicy: rate(0.9, 10)
  }, [
    call(0, "failure", 4),
    reconfigure(0, { tripPolicy: slowRate(0.9, 10) }),
    reads(0, { calls: 0, failures: 0 }),
    call(0, "failure", 3),
    reconfigure(0, { tripPolicy: rate(0.5, 4) }),
    reads(0, { calls: 0, failures: 0 }),
    call(0, "failure", 3),
    is({ _tag: "Closed" }),
    reconfigure(0, { tripPolicy: TripPolicy.failures(2, { within: 10 }) }),
    call(0, "failure"),
    is({ _tag: "Closed" }),
    reconfigure(0, { tripPolicy: rate(0.5, 2) }),
    call(0, "failure"),
    is({ _tag: "Closed" }),
    call(0, "failure"),
    is({ _tag: "Open" })
  ]],
  ["the totals are those of the first policy that has a window", {
    tripPolicy: TripPolicy.any(TripPolicy.failures(9, { within: 10 }), rate(0.9, 10, Window.calls(3)), rate(0.9, 10))
  }, [
    call(0, "failure", 2),
    call(0, "success", 3),
    reads(0, { calls: 3, failures: 0 }),
    reconfigure(0, { tripPolicy: TripPolicy.any(TripPolicy.failures(9, { within: 10 }), rate(0.9, 10)) }),
    reads(0, { calls: 5, failures: 2 }),
    reconfigure(0, { tripPolicy: TripPolicy.failures(9, { within: 10 }) }),
    reads(0, { calls: 5, failures: 2 })
  ]],
  ["failures in a row are kept under a new number, the smallest one counts", {}, [
    call(0, "failure", 2),
    reconfigure(0, { tripPolicy: TripPolicy.any(TripPolicy.consecutive(9), TripPolicy.consecutive(4)) }),
    call(0, "failure"),
    is({ _tag: "Closed" }),
    call(0, "failure"),
    is({ _tag: "Open" })
  ]],
  ["a policy that no longer counts failures in a row does not trip by them", {}, [
    reconfigure(0, { tripPolicy: rate(0.5, 50) }),
    call(0, "failure", 9),
    is({ _tag: "Closed" })
  ]],
  ["failures within a span are kept under a new span, not under a new number", {
    tripPolicy: TripPolicy.failures(3, { within: 10 })
  }, [
    call(0, "failure", 2),
    reconfigure(50, { tripPolicy: TripPolicy.failures(3, { within: 100 }) }),
    call(100, "failure"),
    is({ _tag: "Open" }),
    by("reset", 200),
    call(200, "failure", 2),
    reconfigure(200, { tripPolicy: TripPolicy.failures(2, { within: 100 }) }),
    call(200, "failure"),
    is({ _tag: "Closed" }),
    call(200, "failure"),
    is({ _tag: "Open" })
  ]],
  ["a new limit for slow calls holds for those in flight", { tripPolicy: slowRate(0.9, 10) }, [
    call(0, "success", 1, 500),
    enter(0, "a"),
    enter(150, "b"),
    reads(150, { calls: 2, slow: 2 }),
    reconfigure(150, { tripPolicy: { ...slowRate(0.9, 10), slowerThanMillis: 200 } }),
    enter(151, "c"),
    reads(151, { calls: 1, slow: 1 }),
    end(152, "a", "success", 152),
    reads(152, { calls: 2, slow: 1 }),
    reconfigure(152, { tripPolicy: slowRate(0.9, 10, Window.calls(20)) }),
    reads(152, { calls: 0, slow: 0 }),
    enter(251, "d"),
    reads(251, { calls: 1, slow: 1 })
  ]],
  ["calls in flight may outlive the policy that follows them", { tripPolicy: slowRate(0.9, 10) }, [
    enter(0, "a"),
    enter(0, "b"),
    reconfigure(0, {}),
    reconfigure(0, { tripPolicy: TripPolicy.consecutive(2) }),
    end(500, "a", "failure", 500),
    reads(500, { calls: 1, failures: 1, slow: 0 }),
    enter(500, "c"),
    reconfigure(500, { tripPolicy: slowRate(0.9, 10) }),
    enter(501, "d"),
    reads(501, { calls: 1, slow: 1 }),
    end(502, "c", "failure", 500),
    reads(502, { calls: 2, failures: 1, slow: 2 })
  ]],
  ["an open period that has begun keeps its end under new numbers", {}, [
    opened,
    reconfigure(1, { openMillis: () => 10 }),
    is({ _tag: "Open", generation: 2, until: 1000 }),
    rejected(999, "open", 1),
    probe(1000, "probe"),
    reconfigure(1000, { probes: 2, openMillis: () => 10 }),
    probe(1000, "second"),
    end(1001, "probe", "failure"),
    is({ _tag: "Open", until: 1011 })
  ]]
]

describe("the table", () => {
  it("has at least forty rows of different names", () => {
    assert.isAtLeast(rows.length, 40)
    assert.strictEqual(new Set(rows.map(([name]) => name)).size, rows.length)
  })

  for (const [name, changes, steps] of rows) {
    it(name, () => {
      const config = { ...base, ...changes }
      const bench: Bench = { machine: new CircuitBreakerMachine(config, 0), config, tickets: new Map() }
      for (const step of steps) step(bench)
    })
  }
})

const openWith = (
  changes: Partial<Config>,
  draw: () => number,
  retryAfter?: number
): { readonly openMillis: number; readonly until: number } => {
  const machine = new CircuitBreakerMachine({ ...base, tripPolicy: TripPolicy.consecutive(1), ...changes }, 0)
  machine.record(machine.enter(100), "failure", 1, 100, draw, retryAfter)
  if (machine.state._tag !== "Open") return assert.fail("it did not open")
  assert.strictEqual(machine.state.until, 100 + machine.state.openMillis)
  return machine.state
}

describe("the open period", () => {
  const almostOne = 1 - Number.EPSILON

  it("is spread by its jitter evenly to both sides", () => {
    assert.strictEqual(openWith({ openJitter: 0.1 }, () => 0).openMillis, 900)
    assert.strictEqual(openWith({ openJitter: 0.1 }, () => 0.5).openMillis, 1000)
    assert.strictEqual(openWith({ openJitter: 0.1 }, () => 0.75).openMillis, 1050)
    const longest = openWith({ openJitter: 0.1 }, () => almostOne).openMillis
    assert.isAtMost(longest, 1100)
    assert.closeTo(longest, 1100, 1e-9)
    assert.strictEqual(openWith({ openJitter: 1 }, () => 0).openMillis, 0)
  })

  it("draws once when there is jitter and never when there is none", () => {
    let draws = 0
    const count = (): number => {
      draws++
      return 0.5
    }
    openWith({ openJitter: 0 }, count)
    assert.strictEqual(draws, 0)
    openWith({ openJitter: 0.1 }, count)
    assert.strictEqual(draws, 1)
  })

  it("does not pass its cap by jitter, and below the cap is still spread", () => {
    const capped = { openJitter: 0.1, openMillis: () => 1e6, maxOpenMillis: 5000 }
    assert.strictEqual(openWith(capped, () => 0).openMillis, 4500)
    assert.strictEqual(openWith(capped, () => 0.5).openMillis, 5000)
    assert.strictEqual(openWith(capped, () => almostOne).openMillis, 5000)
  })

  it("is lengthened by the server's hint up to the cap, and never shortened", () => {
    assert.strictEqual(openWith({}, noDraw, 2500).openMillis, 2500)
    assert.strictEqual(openWith({}, noDraw, 9999).openMillis, 5000)
    assert.strictEqual(openWith({}, noDraw, Infinity).openMillis, 5000)
    assert.strictEqual(openWith({}, noDraw, 1000).openMillis, 1000)
    assert.strictEqual(openWith({}, noDraw, 10).openMillis, 1000)
    assert.strictEqual(openWith({}, noDraw, -10).openMillis, 1000)
    assert.strictEqual(openWith({}, noDraw, NaN).openMillis, 1000)
    assert.strictEqual(openWith({ openJitter: 0.1 }, () => almostOne, 1090).openMillis > 1090, true)
    assert.strictEqual(openWith({ openJitter: 0.1 }, () => 0, 950).openMillis, 950)
  })

  it("follows the hint of a failed probe as well", () => {
    const machine = new CircuitBreakerMachine({ ...base, tripPolicy: TripPolicy.consecutive(1) }, 0)
    machine.record(machine.enter(0), "failure", 1, 0, noDraw)
    machine.record(machine.enter(1000), "failure", 1, 1000, noDraw, 3000)
    assert.deepStrictEqual<unknown>(machine.state, {
      _tag: "Open",
      generation: 4,
      since: 1000,
      until: 4000,
      openMillis: 3000,
      failedProbes: 1
    })
  })

  it("saturates when its growth overflows, and is never negative", () => {
    assert.strictEqual(openWith({ openMillis: () => Infinity }, noDraw).openMillis, 5000)
    assert.strictEqual(openWith({ openMillis: () => NaN }, noDraw).openMillis, 5000)
    assert.strictEqual(openWith({ openMillis: () => Number.MAX_VALUE }, noDraw).openMillis, 5000)
    assert.strictEqual(openWith({ openMillis: () => -5 }, noDraw).openMillis, 0)
  })

  it("gives jitter to a trip by calls in flight too, the middle when no draw is handed in", () => {
    for (const [draw, expected] of [[() => 0, 900], [() => 0.75, 1050], [undefined, 1000]] as const) {
      const machine = new CircuitBreakerMachine({ ...base, openJitter: 0.1, tripPolicy: slowRate(0.5, 1) }, 0)
      machine.enter(0, noDraw)
      assert.strictEqual(draw === undefined ? machine.enter(200) : machine.enter(200, draw), 0)
      assert.deepStrictEqual(machine.rejection(200), { reason: "open", retryAfterMillis: expected })
    }
  })
})

describe("many calls", () => {
  it("A01: of a thousand calls in the tick in which the open period ends exactly the probes pass", () => {
    for (const probes of [1, 2, 7]) {
      const machine = new CircuitBreakerMachine({ ...base, probes, successThreshold: probes }, 0)
      for (let call = 0; call < 3; call++) machine.record(machine.enter(0), "failure", 1, 0, noDraw)
      const tickets = Array.from({ length: 1000 }, () => machine.enter(1000)).filter((ticket) => ticket !== 0)
      assert.strictEqual(tickets.length, probes)
      assert.isTrue(tickets.every(isProbe))
      assert.strictEqual(new Set(tickets).size, probes)
      assert.strictEqual(machine.snapshot(1000).probesInFlight, probes)
    }
  })

  it("go on being probed when more probes were ignored than a ticket has numbers for", () => {
    const machine = new CircuitBreakerMachine({ ...base, probes: 2 }, 0)
    for (let call = 0; call < 3; call++) machine.record(machine.enter(0), "failure", 1, 0, noDraw)
    const first = machine.enter(1000)
    for (let call = 0; call < 2 ** 21 + 5; call++) {
      const ticket = machine.enter(1000)
      if (!Number.isSafeInteger(ticket) || !isProbe(ticket)) assert.fail(`ticket ${ticket}`)
      if (!machine.record(ticket, "ignored", 1, 1000, noDraw)) assert.fail(`late at ${call}`)
    }
    assert.isTrue(machine.record(first, "success", 1, 1000, noDraw))
    assert.strictEqual(machine.state._tag, "Closed")
  })

  it("in flight beyond the number that can be followed are admitted and count when they finish", () => {
    const machine = new CircuitBreakerMachine({ ...base, tripPolicy: slowRate(1, 1e9) }, 0)
    const most = 2 ** 21 - 1
    let last = 0
    for (let call = 0; call < most; call++) last = machine.enter(0)
    assert.isTrue(Number.isSafeInteger(last))
    const beyond = machine.enter(0)
    assert.isAbove(beyond, 0)
    assert.isBelow(beyond, 2 ** 32)
    machine.enter(101)
    assert.strictEqual(machine.snapshot(101).slow, most)
    assert.isTrue(machine.record(beyond, "success", 200, 101, noDraw))
    assert.strictEqual(machine.snapshot(101).slow, most + 1)
    assert.isTrue(machine.record(last, "ignored", 200, 101, noDraw))
    assert.isAbove(machine.enter(101), 2 ** 32)
  })

  it("get small integers as tickets while closed, and positive ones in every generation", () => {
    const machine = new CircuitBreakerMachine(base, 0)
    for (let change = 0; change < 1000; change++) {
      assert.strictEqual(machine.enter(0), machine.state.generation * 2)
      machine.isolate(0)
      machine.reset(0)
    }
    assert.strictEqual(machine.state.generation, 2001)
  })
})

describe("what tripped", () => {
  const tripped = (tripPolicy: TripPolicy.TripPolicy, ...steps: ReadonlyArray<Step>) => {
    const config = { ...base, tripPolicy }
    const machine = new CircuitBreakerMachine(config, 0)
    const bench: Bench = { machine, config, tickets: new Map() }
    assert.isUndefined(machine.trip)
    steps.forEach((step) => step(bench))
    assert.strictEqual(machine.state._tag, "Open")
    return machine.trip
  }
  const rate = TripPolicy.failureRate({ threshold: 0.5, window: Window.calls(10), minimumCalls: 4 })
  const slow = TripPolicy.slowCallRate({ slowerThan: 10, threshold: 0.5, window: Window.calls(10), minimumCalls: 4 })

  it("is the policy whose threshold was reached, with what it had counted", () => {
    const three = TripPolicy.consecutive(3)
    assert.deepStrictEqual(
      tripped(three, call(1, "failure"), call(2, "success"), call(3, "failure", 3)),
      { policy: three, counted: 3, calls: undefined }
    )
    assert.deepStrictEqual(
      tripped(rate, call(1, "success", 2), call(2, "failure", 2)),
      { policy: rate, counted: 2, calls: 4 }
    )
    const within = TripPolicy.failures(2, { within: 10 })
    assert.deepStrictEqual(
      tripped(within, call(1, "failure"), call(20, "failure"), call(25, "success"), call(30, "failure")),
      { policy: within, counted: 2, calls: undefined }
    )
    assert.deepStrictEqual(
      tripped(slow, call(1, "success", 2), call(40, "success", 2, 11)),
      { policy: slow, counted: 2, calls: 4 }
    )
  })

  it("of several combined it is the one that tripped, the smallest of those in a row", () => {
    const five = TripPolicy.consecutive(5)
    const all = TripPolicy.any(TripPolicy.consecutive(9), rate, five, slow, TripPolicy.consecutive(7))
    assert.deepStrictEqual(
      tripped(all, call(1, "success", 1), call(2, "failure", 3)),
      { policy: rate, counted: 3, calls: 4 }
    )
    assert.deepStrictEqual(
      tripped(all, call(1, "success", 6), call(2, "failure", 5)),
      { policy: five, counted: 5, calls: undefined }
    )
    assert.deepStrictEqual(
      tripped(all, call(1, "success", 2), call(40, "success", 2, 11)),
      { policy: slow, counted: 2, calls: 4 }
    )
  })

  it("calls in flight that became slow are counted too", () => {
    const trip = tripped(slow, ...["a", "b", "c", "d"].map((name) => enter(0, name)), ({ machine }) => {
      assert.strictEqual(machine.enter(50, noDraw), 0)
    })
    assert.deepStrictEqual(trip, { policy: slow, counted: 4, calls: 4 })
  })

  it("is nothing when a failed probe opened it again", () => {
    const trip = tripped(
      TripPolicy.consecutive(3),
      call(0, "failure", 3),
      ({ machine }) => assert.isDefined(machine.trip),
      probe(1000, "p"),
      end(1001, "p", "failure")
    )
    assert.isUndefined(trip)
  })
})

describe("a state and a snapshot", () => {
  it("cannot be written", () => {
    const machine = new CircuitBreakerMachine({ ...base, tripPolicy: TripPolicy.consecutive(1) }, 0)
    assert.isTrue(Object.isFrozen(machine.state))
    machine.record(machine.enter(0), "failure", 1, 0, noDraw)
    assert.isTrue(Object.isFrozen(machine.state))
  })

  it("A22: two breakers built from one configuration share nothing", () => {
    const config = { ...base, tripPolicy: TripPolicy.any(rate(0.5, 4), slowRate(0.5, 4), TripPolicy.consecutive(9)) }
    const left = new CircuitBreakerMachine(config, 0)
    const right = new CircuitBreakerMachine(config, 0)
    const before = right.snapshot(0)
    for (let call = 0; call < 4; call++) left.record(left.enter(0), "failure", 500, 0, noDraw)
    assert.strictEqual(left.state._tag, "Open")
    assert.deepStrictEqual(right.snapshot(0), before)
    assert.strictEqual(right.state._tag, "Closed")
  })

  it("A22: a snapshot does not follow the machine", () => {
    const machine = new CircuitBreakerMachine(base, 0)
    const before = machine.snapshot(0)
    for (let call = 0; call < 3; call++) machine.record(machine.enter(0), "failure", 1, 0, noDraw)
    assert.deepStrictEqual(before, {
      state: { _tag: "Closed", generation: 1, since: 0 },
      calls: 0,
      failures: 0,
      slow: 0,
      consecutiveFailures: 0,
      probesInFlight: 0,
      probeSuccesses: 0,
      reclaimed: 0,
      late: 0,
      wouldHaveRejected: 0,
      trips: 0,
      millisIn: { Closed: 0, Open: 0, HalfOpen: 0, Isolated: 0, Disabled: 0 }
    })
  })

  it("tells how long the breaker has been in each state, the present one up to now", () => {
    const machine = new CircuitBreakerMachine(base, 100)
    const spent = (now: number) => machine.snapshot(now).millisIn
    machine.isolate(110)
    machine.reset(130)
    machine.disable(170)
    machine.reset(250)
    assert.deepStrictEqual(spent(410), { Closed: 10 + 40 + 160, Open: 0, HalfOpen: 0, Isolated: 20, Disabled: 80 })
    for (let call = 0; machine.state._tag === "Closed"; call++) {
      machine.record(machine.enter(410), "failure", 1, 410, noDraw)
      assert.isBelow(call, 100)
    }
    const due = (machine.state as { readonly until: number }).until
    assert.strictEqual(spent(due + 5).Open, due + 5 - 410, "an open breaker that is due is open until a call probes it")
    const probe = machine.enter(due + 5)
    machine.record(probe, "success", 3, due + 8, noDraw)
    assert.deepStrictEqual([machine.state._tag, spent(due + 9).HalfOpen], ["Closed", 3])
    assert.strictEqual(Object.values(spent(due + 9)).reduce((sum, one) => sum + one, 0), due + 9 - 100)
  })

  it("a clock that steps back makes no state older", () => {
    const machine = new CircuitBreakerMachine(base, 1000)
    machine.isolate(1010)
    // Seen by the machine only when something happens.
    machine.isolate(500)
    machine.reset(530)
    assert.deepStrictEqual(machine.snapshot(530).millisIn, {
      Closed: 10,
      Open: 0,
      HalfOpen: 0,
      Isolated: 30,
      Disabled: 0
    })
  })
})

describe("trip policies", () => {
  it("are plain data", () => {
    const window = Window.calls(10)
    assert.deepStrictEqual(TripPolicy.consecutive(5), { _tag: "Consecutive", failures: 5 })
    assert.deepStrictEqual(TripPolicy.failures(5, { within: 10 }), { _tag: "Failures", failures: 5, withinMillis: 10 })
    assert.deepStrictEqual(TripPolicy.failureRate({ threshold: 0.5, window, minimumCalls: 4 }), {
      _tag: "FailureRate",
      threshold: 0.5,
      window,
      minimumCalls: 4
    })
    assert.deepStrictEqual(
      TripPolicy.slowCallRate({ slowerThan: 100, threshold: 0.5, window, minimumCalls: 4 }),
      { _tag: "SlowCallRate", slowerThanMillis: 100, threshold: 0.5, window, minimumCalls: 4 }
    )
    const both = TripPolicy.any(TripPolicy.consecutive(1), TripPolicy.any(TripPolicy.consecutive(2)))
    assert.strictEqual(both._tag, "Any")
    assert.deepStrictEqual(TripPolicy.flatten(both), [TripPolicy.consecutive(1), TripPolicy.consecutive(2)])
    assert.deepStrictEqual(TripPolicy.flatten(TripPolicy.consecutive(3)), [TripPolicy.consecutive(3)])
  })
})
