/**
 * The protected operation, and the ways in which a program calls it. Every contender makes a fresh operation in every call and applies
 * its policy to it anew.
 */
import * as Effect from "effect/Effect"
import type { Contender } from "./measure.js"

/**
 * The time limit in everybody's stack, in milliseconds: so long that none rings in a run, however busy the machine. A call that is cut, and
 * tried again, would be another benchmark.
 */
export const limitMillis = 300_000

export interface Operation {
  readonly title: string
  readonly effect: () => Effect.Effect<number>
  readonly promise: () => Promise<number> | number
}

export const asynchronous: Operation = {
  title: "asynchronous operation",
  effect: () => Effect.promise(() => Promise.resolve(1)),
  promise: () => Promise.resolve(1)
}

export const synchronous: Operation = {
  title: "synchronous operation",
  effect: () => Effect.sync(() => 1),
  promise: () => 1
}

export const operations: ReadonlyArray<Operation> = [synchronous, asynchronous]

export const bareEffect = "bare effect"
export const barePromise = "bare promise"

type Call = () => Effect.Effect<unknown, unknown>

const several = (call: Call, calls: number): Effect.Effect<void, unknown> => {
  let made = 0
  return Effect.whileLoop({ while: () => made++ < calls, body: call, step: () => {} })
}

/** One fiber makes the calls one after the other; `around` may change what the fiber is like. */
export const inOneFiber = (
  title: string,
  call: Call,
  around: (loop: Effect.Effect<void, unknown>) => Effect.Effect<void, unknown> = (loop) => loop
): Contender => ({
  title,
  over: title === bareEffect ? undefined : bareEffect,
  run: (calls) => Effect.runPromise(around(several(call, calls)))
})

/** How many callers there are at once, and how many calls each makes, one after the other. */
const callers = 1000
const callsEach = 3

/** The calls that each caller makes, in groups of `callers` that work at once. */
const shares = (calls: number): ReadonlyArray<ReadonlyArray<number>> => {
  const groups: Array<Array<number>> = []
  for (let left = calls; left > 0; left -= callsEach) {
    const share = Math.min(left, callsEach)
    const last = groups.at(-1)
    if (last === undefined || last.length === callers) {
      groups.push([share])
    } else {
      last.push(share)
    }
  }
  return groups
}

/** A thousand fibers at once, as a server has them. */
export const inManyFibers = (title: string, call: Call): Contender => ({
  title,
  over: title === bareEffect ? undefined : bareEffect,
  burst: callers * callsEach,
  run: async (calls) => {
    for (const group of shares(calls)) {
      await Promise.all(group.map((share) => Effect.runPromise(several(call, share))))
    }
  }
})

/** Every call is run on its own, as a program does whose frame is not Effect. */
export const runOneByOne = (title: string, call: Call): Contender => ({
  title,
  over: title === bareEffect ? undefined : bareEffect,
  run: async (calls) => {
    for (let made = 0; made < calls; made++) {
      await Effect.runPromise(call())
    }
  }
})

export const awaited = (title: string, call: () => Promise<unknown>): Contender => ({
  title,
  over: title === barePromise ? undefined : barePromise,
  run: async (calls) => {
    for (let made = 0; made < calls; made++) {
      await call()
    }
  }
})

/** A thousand callers at once. */
export const awaitedTogether = (title: string, call: () => Promise<unknown>): Contender => ({
  title,
  over: title === barePromise ? undefined : barePromise,
  burst: callers * callsEach,
  run: async (calls) => {
    for (const group of shares(calls)) {
      await Promise.all(group.map(async (share) => {
        for (let made = 0; made < share; made++) {
          await call()
        }
      }))
    }
  }
})
