// A platform without `node:async_hooks`: calls go on as they did before there were stores.
Object.defineProperty(process, "getBuiltinModule", { value: undefined })

const Effect = await import("effect/Effect")
const Backoff = await import("../../../src/Backoff.js")
const Failure = await import("../../../src/Failure.js")
const Policy = await import("../../../src/Policy.js")

class Busy extends Failure.Retryable("Busy")<{}> {}

const policy = await Effect.runPromise(Policy.standard("bare", {
  attemptTimeout: 20,
  bulkhead: { maxConcurrent: 1, maxQueue: 1 },
  retry: { maxRetries: 2, schedule: Backoff.constant(1, { jitter: "none" }) }
}))

let attempts = 0
const call = policy(Effect.suspend(() => {
  attempts++
  return attempts === 1 ? Effect.fail(new Busy()) : attempts === 2 ? Effect.never : Effect.succeed("answer")
}))
const answers = await Effect.runPromise(Effect.all([call, call], { concurrency: "unbounded" }))
console.log(`${answers.join(", ")} after ${attempts} attempts`)
