import { assert, describe, it } from "@effect/vitest"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { names, type Shape, story } from "../src/shapes/dependency.js"
import { observe, type Row, scaled } from "../src/shapes/observe.js"
import { socketCall } from "../src/shapes/sockets.js"
import { virtualCall } from "../src/shapes/virtual.js"

/** The latest opening, in seconds after it fell sick, at ten calls a second; `undefined` for a shape that must not open it. */
const opensWithin: Readonly<Record<Shape, number | undefined>> = {
  slow: 8,
  hung: 8,
  refused: 3,
  reset: 3,
  "5xx": 3,
  "429": undefined,
  flapping: 3,
  "slow body": 8
}

const check = (row: Row, slack: number) => {
  assert.isAbove(row.fired.length, 0, `something must fire on every shape, also when it is ${row.shape}`)
  const limit = opensWithin[row.shape]
  if (limit === undefined) {
    assert.isUndefined(row.openedAfterSeconds, "a dependency that asks to slow down is alive")
    assert.include(row.fired, "retry")
    return
  }
  assert.isDefined(row.openedAfterSeconds, row.shape)
  assert.isAtMost(row.openedAfterSeconds!, limit * slack, row.shape)
  assert.isDefined(row.closedAfterSeconds, `it closes again: ${row.shape}`)
  // 30 s open + 10 % jitter, and one probe
  assert.isAtMost(row.closedAfterSeconds!, 33 + 3 * slack, row.shape)
  assert.isAtMost(row.longestCallSeconds, 10 * slack, row.shape)
  const calls = Object.values(row.seen).reduce((sum, count) => sum + count, 0)
  assert.isAbove(
    row.seen.CircuitOpen ?? 0,
    calls / 2,
    `more than half of the callers are answered at once: ${JSON.stringify(row)}`
  )
}

describe("every shape of failure against Policy.standard with its defaults", () => {
  for (const shape of names) {
    it.live(`${shape}, in virtual time`, () =>
      VirtualClock.run(Effect.flatMap(virtualCall(shape, story), (call) => observe(shape, story, call))).pipe(
        Effect.withRandom(Random.make("shapes")),
        Effect.map((row) => check(row, 1))
      ))
  }
})

describe("the same on sockets, with every duration divided by eight", () => {
  const told = (scale: number) => {
    const plan = { ...story, scale, sickMillis: 24_000, recoveredMillis: 38_000, callsPerSecond: 6 }
    return Effect.forEach(
      names,
      (shape) =>
        Effect.scoped(
          Effect.flatMap(socketCall(shape, plan), (call) => observe(shape, plan, call, scaled(plan.scale)))
        ),
      { concurrency: "unbounded" }
    ).pipe(Effect.map((rows) => rows.forEach((row) => check(row, 3))))
  }

  // A machine that is busy with other things may hold the process up for longer than a shortened timeout: then the story is
  // told again, more slowly, and in the end only half as long as it is.
  it.live("all shapes at once", () =>
    told(1 / 8).pipe(
      Effect.catchAllDefect(() => told(1 / 4)),
      Effect.catchAllDefect(() => told(1 / 2))
    ), 180_000)
})
