/** Prints how many bytes a call allocates under a policy without a place for faults and under one with it, while nobody injects. */
import * as Effect from "effect/Effect"
import * as Chaos from "../../../src/Chaos.js"
import * as CircuitBreaker from "../../../src/CircuitBreaker.js"
import * as Policy from "../../../src/Policy.js"
import * as Retry from "../../../src/Retry.js"
import * as Timeout from "../../../src/Timeout.js"

const breaker = Effect.runSync(CircuitBreaker.make({ name: "payments" }))
const around = [breaker, Retry.make(), Timeout.make("3 seconds")] as const
const place = Chaos.make()

const contenders = {
  without: Policy.compose(...around),
  withPlace: Policy.compose(...around, place),
  // The place stands alone behind the retry: no region may be made for it.
  retry: Retry.make(),
  retryWithPlace: Policy.compose(Retry.make(), place)
}

declare const gc: () => void

const call = Effect.sync(() => 1)

const run = (policy: Policy.Policy.Any, calls: number): Promise<void> => {
  let made = 0
  const loop = Effect.whileLoop({ while: () => made++ < calls, body: () => policy(call), step: () => {} })
  return Effect.runPromise(loop as Effect.Effect<void>)
}

const middle = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

/** The young generation is emptied before, and a round is small enough that nothing is collected within it. */
const bytesPerCall = async (policy: Policy.Policy.Any): Promise<number> => {
  const samples: Array<number> = []
  for (let sample = 0; sample < 11; sample++) {
    gc()
    const before = process.memoryUsage().heapUsed
    await run(policy, 200)
    samples.push((process.memoryUsage().heapUsed - before) / 200)
  }
  return middle(samples)
}

for (const policy of Object.values(contenders)) {
  await run(policy, 5000)
}
const bytes: Record<string, number> = {}
for (const [name, policy] of Object.entries(contenders)) {
  bytes[name] = Math.round(await bytesPerCall(policy))
}
console.log(`done ${JSON.stringify(bytes)}`)
