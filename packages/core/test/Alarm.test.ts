import { assert, describe, it } from "@effect/vitest"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as Alarm from "../src/Alarm.js"
import * as Timeout from "../src/Timeout.js"
import { virtual } from "./support/virtual.js"

/** A source of time that the test moves: it keeps the one wake-up that was asked for, and counts what it is told. */
class FakeSource implements Alarm.TimeSource {
  present = 0
  wakeAt: number | undefined = undefined
  asked = 0
  idles = 0
  busies = 0
  readonly delays: Array<number> = []
  settling: (() => void) | undefined = undefined
  settles = false
  private wake: (() => void) | undefined = undefined
  readonly now = (): number => this.present
  readonly wakeAfter = (millis: number, wake: () => void): void => {
    this.asked++
    this.delays.push(millis)
    this.wakeAt = this.present + millis
    this.wake = wake
  }
  readonly isLost = (): boolean => false
  readonly idle = (): void => {
    this.idles++
  }
  readonly busy = (): void => {
    this.busies++
  }
  readonly settle = (go: () => void): void => {
    if (this.settles) {
      this.settling = go
    } else {
      go()
    }
  }

  /** Lets the wake-up come now, whatever the time. */
  fire(): void {
    const wake = this.wake
    this.wake = undefined
    this.wakeAt = undefined
    wake?.()
  }

  /** Moves time forwards, with every wake-up at its instant. */
  advance(to: number): void {
    while (this.wakeAt !== undefined && this.wakeAt <= to) {
      this.present = Math.max(this.present, this.wakeAt)
      this.fire()
    }
    this.present = Math.max(this.present, to)
  }
}

class Entry implements Alarm.Entry {
  at = 0
  place = -1
  readonly lates: Array<number> = []
  private readonly act: (late: number) => void
  constructor(act: (late: number) => void = () => {}) {
    this.act = act
  }
  ring(late: number): void {
    this.lates.push(late)
    this.act(late)
  }
}

const make = () => {
  const source = new FakeSource()
  const alarms = new Alarm.Alarms(source)
  const schedule = (entry: Entry, at: number): Entry => {
    alarms.schedule(entry, at, source.present)
    return entry
  }
  return { source, alarms, schedule }
}

/** Every parent is due no later than its children, and every entry knows its place. */
const assertHeap = (alarms: Alarm.Alarms): void => {
  const heap = (alarms as unknown as { readonly heap: ReadonlyArray<Alarm.Entry> }).heap
  heap.forEach((entry, place) => {
    assert.strictEqual(entry.place, place)
    assert.isTrue(place === 0 || heap[(place - 1) >> 1]!.at <= entry.at)
  })
}

type Step =
  | { readonly do: "schedule"; readonly after: number }
  | { readonly do: "cancel"; readonly which: number }
  | { readonly do: "advance"; readonly by: number }
  | { readonly do: "early" }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("schedule" as const), after: fc.integer({ min: 0, max: 60 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("cancel" as const), which: fc.nat(1000) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("advance" as const), by: fc.integer({ min: 0, max: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("early" as const) }) }
)

describe("the alarm queue of a clock", () => {
  it("rings what a sorted list would ring, at the same instants, over random histories", () => {
    const taken = { schedule: 0, cancel: 0, rung: 0, early: 0, emptied: 0 }
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), (history) => {
        const { alarms, schedule, source } = make()
        let waiting: Array<{ readonly id: number; readonly at: number; readonly entry: Entry }> = []
        const rung: Array<string> = []
        let last = 0
        for (const one of history) {
          if (one.do === "schedule") {
            const id = ++last
            const at = source.present + one.after
            const entry = schedule(new Entry(() => rung.push(`${id} at ${source.present}`)), at)
            waiting.push({ id, at, entry })
            taken.schedule++
          } else if (one.do === "cancel" && waiting.length > 0) {
            const [left] = waiting.splice(one.which % waiting.length, 1)
            alarms.cancel(left!.entry)
            alarms.cancel(left!.entry)
            taken.cancel++
          } else if (one.do === "early") {
            source.fire()
            taken.early++
          } else if (one.do === "advance") {
            const to = source.present + one.by
            const due = waiting.filter(({ at }) => at <= to).sort((left, right) => left.at - right.at)
            source.advance(to)
            // Those of one instant ring in any order; the instants themselves rise.
            const instants = rung.map((text) => Number(text.split(" at ")[1]))
            assert.deepStrictEqual(instants, instants.slice().sort((left, right) => left - right))
            assert.deepStrictEqual(rung.slice().sort(), due.map(({ at, id }) => `${id} at ${at}`).sort())
            rung.length = 0
            waiting = waiting.filter(({ at }) => at > to)
            taken.rung += due.length
            taken.emptied += waiting.length === 0 ? 1 : 0
          }
          // What an early wake-up at the very instant rang is no longer waited for.
          if (one.do === "early") {
            waiting = waiting.filter(({ entry }) => entry.place >= 0)
            rung.length = 0
          }
          assertHeap(alarms)
          assert.strictEqual(alarms.size, waiting.length)
          assert.isTrue(waiting.length === 0 || source.wakeAt !== undefined, "a wake-up is outstanding")
        }
        const kept = waiting.sort((left, right) => left.at - right.at)
        if (kept.length > 0) {
          assert.isAtMost(source.wakeAt!, Math.max(source.present, kept[0]!.at))
        }
      }),
      { numRuns: 1000, seed: 42 }
    )
    for (const [edge, times] of Object.entries(taken)) {
      assert.isAtLeast(times, 500, edge)
    }
  })

  it("appends in one step when instants rise, as those of equal limits do", () => {
    const { alarms } = make()
    const heap = (alarms as unknown as { readonly heap: Array<Alarm.Entry> }).heap
    let writes = 0
    const counted = new Proxy(heap, {
      set(target, key, value) {
        writes += key === "length" ? 0 : 1
        return Reflect.set(target, key, value)
      }
    })
    Object.defineProperty(alarms, "heap", { value: counted })
    for (let at = 1; at <= 1000; at++) {
      alarms.schedule(new Entry(), at, 0)
    }
    assert.strictEqual(writes, 1000)
  })

  it("asks for a wake-up only when the head comes nearer, and has at most one outstanding", () => {
    const { schedule, source } = make()
    schedule(new Entry(), 100)
    schedule(new Entry(), 200)
    schedule(new Entry(), 150)
    assert.strictEqual(source.asked, 1)
    schedule(new Entry(), 50)
    assert.deepStrictEqual(source.delays, [100, 50])
  })

  it("a cancelled head costs one wake-up in vain, which asks for the next", () => {
    const { alarms, schedule, source } = make()
    const head = schedule(new Entry(), 50)
    const next = schedule(new Entry(), 80)
    alarms.cancel(head)
    source.advance(60)
    assert.deepStrictEqual([head.lates, next.lates, source.delays], [[], [], [50, 30]])
    source.advance(80)
    assert.deepStrictEqual(next.lates, [0])
  })

  it("a clock set backwards re-arms the head, and rings nothing too soon", () => {
    const { schedule, source } = make()
    source.present = 1000
    const entry = schedule(new Entry(), 1100)
    source.present = 400
    source.fire()
    assert.deepStrictEqual([entry.lates, source.delays], [[], [100, 700]])
    source.advance(1100)
    assert.deepStrictEqual(entry.lates, [0])
  })

  it("an instant further away than a timer can be set is reached in several wake-ups", () => {
    const { schedule, source } = make()
    const longest = 2 ** 31 - 1
    const entry = schedule(new Entry(), 2.5 * longest)
    source.advance(2 * longest)
    assert.deepStrictEqual(entry.lates, [])
    source.advance(3 * longest)
    assert.deepStrictEqual(entry.lates.length, 1)
    assert.isTrue(source.delays.every((delay) => delay <= longest))
    assert.isAtMost(entry.lates[0]!, 1)
  })

  it("D08: a late wake-up lets one settling pass before it rings, and an answer that came meanwhile wins", () => {
    const { alarms, schedule, source } = make()
    source.settles = true
    const answered = schedule(new Entry(), 10)
    const hanging = schedule(new Entry(), 10)
    source.present = 31
    source.fire()
    assert.deepStrictEqual([answered.lates, hanging.lates], [[], []])
    alarms.cancel(answered)
    source.settling!()
    assert.deepStrictEqual([answered.lates, hanging.lates], [[], [21]])
  })

  it("a wake-up that is 20 ms late or less rings at once", () => {
    const { schedule, source } = make()
    source.settles = true
    const entry = schedule(new Entry(), 10)
    source.present = 30
    source.fire()
    assert.deepStrictEqual(entry.lates, [20])
  })

  it("tells the source when nothing waits any more, and when something waits again, on the edges only", () => {
    const { alarms, schedule, source } = make()
    assert.deepStrictEqual([source.idles, source.busies], [0, 0])
    const first = schedule(new Entry(), 10)
    const second = schedule(new Entry(), 20)
    assert.deepStrictEqual([source.idles, source.busies], [0, 1])
    alarms.cancel(first)
    assert.strictEqual(source.idles, 0)
    alarms.cancel(second)
    assert.deepStrictEqual([source.idles, source.busies], [1, 1])
    schedule(first, 30)
    assert.deepStrictEqual([source.idles, source.busies], [1, 2])
    source.advance(30)
    assert.deepStrictEqual([source.idles, source.busies], [2, 2])
  })

  it("an entry may cancel another, and schedule others, while it rings", () => {
    const { alarms, schedule, source } = make()
    const cancelled = new Entry()
    const atOnce = new Entry()
    const later = new Entry()
    const entry = new Entry(() => {
      alarms.cancel(cancelled)
      schedule(atOnce, source.present)
      schedule(later, source.present + 5)
    })
    schedule(entry, 10)
    schedule(cancelled, 10)
    source.advance(10)
    assert.deepStrictEqual([entry.lates, cancelled.lates, atOnce.lates, later.lates], [[0], [], [0], []])
    source.advance(15)
    assert.deepStrictEqual(later.lates, [0])
    assert.strictEqual(alarms.size, 0)
  })

  it("an entry may schedule itself again while it rings", () => {
    const { schedule, source } = make()
    const ticks: Array<number> = []
    const entry: Entry = new Entry(() => {
      ticks.push(source.present)
      if (ticks.length < 5) {
        schedule(entry, source.present + 10)
      }
    })
    schedule(entry, 10)
    source.advance(1000)
    assert.deepStrictEqual(ticks, [10, 20, 30, 40, 50])
  })

  it("is one for each clock object, however many policies there are", () => {
    const one = Clock.make()
    const other = Clock.make()
    assert.strictEqual(Alarm.of(one), Alarm.of(one))
    assert.notStrictEqual(Alarm.of(one), Alarm.of(other))
    assert.strictEqual(Alarm.of(one), Alarm.of(one))
  })

  virtual("D06: a thousand calls with limits of their own ring each at its instant", () =>
    Effect.gen(function*() {
      const clock = yield* Effect.clock
      const started = clock.unsafeCurrentTimeMillis()
      const at: Array<number> = []
      const limits = Array.from({ length: 1000 }, (_, index) => 1 + (index * 7919) % 1000)
      yield* Effect.forEach(limits, (limit) =>
        Effect.zipRight(
          Effect.exit(Timeout.make(limit)(Effect.never)),
          Effect.sync(() => at.push(clock.unsafeCurrentTimeMillis() - started - limit))
        ), { concurrency: "unbounded", discard: true })
      assert.isTrue(at.every((late) => late === 0))
      assert.strictEqual(Alarm.of(clock).size, 0)
    }))

  it.live("D07: with calls that end at once, at most one sleeper is left on a clock of another kind", () =>
    Effect.gen(function*() {
      const time = yield* VirtualClock.make()
      const calls = Effect.forEach(Array.from({ length: 100 }), () => Timeout.make("60 seconds")(Effect.void))
      yield* VirtualClock.provide(calls, time)
      yield* time.runToIdle
      assert.strictEqual(Alarm.of(time.clock).size, 0)
      assert.isAtMost(time.sleepers(), 1)
    }))
})
