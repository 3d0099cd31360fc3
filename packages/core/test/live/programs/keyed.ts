/**
 * Prints what the policies of a keyed policy cost: how many are alive, what each holds, and what it takes to build one more.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as v8 from "node:v8"
import { CircuitBreakerMachine } from "../../../src/CircuitBreakerMachine.js"
import * as Policy from "../../../src/Policy.js"

declare const gc: () => void

/** The machines that can be reached at this instant: each standard policy has one. */
const live = (): number => v8.queryObjects(CircuitBreakerMachine, { format: "count" })

const turn = () => new Promise((resolve) => setImmediate(resolve))

const keyed = (capacity: number) =>
  Effect.runSync(Policy.keyed({ name: "tenants", capacity, make: (key) => Policy.standard(`tenant ${key}`) }))

const burst = (): number => {
  const before = live()
  const policy = keyed(100)
  for (let key = 0; key < 300; key++) {
    Effect.runSync(Effect.void.pipe(policy.with({ key: `burst ${key}` })))
  }
  return live() - before
}

const inFlight = async () => {
  const before = live()
  const policy = keyed(10)
  const done = Effect.runSync(Deferred.make<void>())
  const fibers = Array.from(
    { length: 40 },
    (_, call) => Effect.runFork(Deferred.await(done).pipe(policy.with({ key: `busy ${call % 30}` })))
  )
  await turn()
  const during = live() - before
  await Effect.runPromise(Fiber.interrupt(fibers[0]!))
  Effect.runSync(Deferred.succeed(done, undefined))
  await Promise.all(fibers.map((fiber) => Effect.runPromise(Fiber.await(fiber))))
  await turn()
  return { during, after: live() - before, kept: Effect.runSync(policy.keys).length }
}

const heap = async (): Promise<number> => {
  for (let round = 0; round < 4; round++) {
    gc()
    await turn()
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const kept: Array<unknown> = []
let made = 0

const alone = async () => {
  const policy = Effect.runSync(Policy.standard(`alone ${made}`))
  await Effect.runPromise(Effect.succeed(made++).pipe(policy))
  kept.push(policy)
}

const byKey = (family: ReturnType<typeof keyed>) => () =>
  Effect.runPromise(Effect.succeed(made).pipe(family.with({ key: `by key ${made++}` })))

const times = async (count: number, build: () => Promise<unknown>) => {
  for (let index = 0; index < count; index++) await build()
}

const heldBytes = async (build: () => Promise<unknown>): Promise<number> => {
  const before = await heap()
  await times(1_000, build)
  return Math.round((await heap() - before) / 1_000)
}

/** The CPU time of a hundred builds. What one turn made is free to go before the next. */
const cost = async (build: () => Promise<unknown>, done: () => void = () => {}): Promise<number> => {
  const rounds: Array<number> = []
  for (let round = 0; round < 7; round++) {
    gc()
    await turn()
    const before = process.cpuUsage()
    await times(100, build)
    const { system, user } = process.cpuUsage(before)
    rounds.push(system + user)
    done()
  }
  return rounds.sort((one, two) => one - two)[3]!
}

const counts = { burst: burst(), ...await inFlight() }
const few = keyed(100)
const many = keyed(1_000_000)
await times(500, alone)
await times(500, byKey(few))
kept.length = 0
const fewCost = {
  alone: await cost(alone, () => {
    kept.length = 0
  }),
  byKey: await cost(byKey(few))
}
const bytes = { alone: await heldBytes(alone), byKey: await heldBytes(byKey(many)) }
await times(4_000, alone)
await times(4_000, byKey(many))
const manyCost = { alone: await cost(alone), byKey: await cost(byKey(many)) }
console.log(`done ${JSON.stringify({ counts, bytes, fewCost, manyCost })}`)
