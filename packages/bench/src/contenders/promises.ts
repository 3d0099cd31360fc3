/**
 * The peers of the promise world, with the same five where they have them, in the same order.
 */
import * as cockatiel from "cockatiel"
import * as Mollitia from "mollitia"
import CircuitBreaker from "opossum"
import { limitMillis } from "../styles.js"
import { places } from "./holdfast.js"

type Operation = () => Promise<number> | number

/** Applies the policy to a fresh operation. */
type Call = (operation: Operation) => Promise<unknown>

const breakerOf = (): cockatiel.CircuitBreakerPolicy =>
  cockatiel.circuitBreaker(cockatiel.handleAll, {
    halfOpenAfter: 30_000,
    breaker: new cockatiel.ConsecutiveBreaker(10)
  })

/** The parts of cockatiel, each alone. */
export const cockatielParts = {
  timeout: (abortOnReturn: boolean) =>
    cockatiel.timeout(limitMillis, { strategy: cockatiel.TimeoutStrategy.Cooperative, abortOnReturn }),
  retry: (backoff: cockatiel.IBackoffFactory<any> = new cockatiel.ExponentialBackoff()) =>
    cockatiel.retry(cockatiel.handleAll, { maxAttempts: 2, backoff }),
  breaker: breakerOf,
  bulkhead: (limit = places, queue = 0) => cockatiel.bulkhead(limit, queue),
  fallback: () => cockatiel.fallback(cockatiel.handleAll, -1)
}

/** Fallback, bulkhead, breaker, retry, timeout. By default cockatiel aborts the signal of its timeout on every return. */
export const cockatielFive = (abortOnReturn: boolean): Call => {
  const { breaker, bulkhead, fallback, retry, timeout } = cockatielParts
  const policy = cockatiel.wrap(fallback(), bulkhead(), breaker(), retry(), timeout(abortOnReturn))
  return (operation) => policy.execute(operation)
}

/** Retries at once; cockatiel sets a timer for its 0 milliseconds. */
export const cockatielNoDelay = (): Call => {
  const policy = cockatielParts.retry(new cockatiel.ConstantBackoff(0))
  return (operation) => policy.execute(operation)
}

/** Timeout, capacity, fallback and its own breaker: it has no retry. */
export const opossumFour = (): Call => {
  const breaker = new CircuitBreaker(async (operation: Operation) => operation(), {
    timeout: limitMillis,
    capacity: places
  })
  breaker.fallback(() => -1)
  return (operation) => breaker.fire(operation)
}

/** Its breaker without the timeout. */
export const opossumAlone = (): Call => {
  const breaker = new CircuitBreaker(async (operation: Operation) => operation(), { timeout: false })
  return (operation) => breaker.fire(operation)
}

/** A breaker of opossum that is open already, and stays so. */
export const opossumOpen = (): Call => {
  const breaker = new CircuitBreaker(async (operation: Operation) => operation(), { resetTimeout: 2 ** 31 - 1 })
  breaker.open()
  return (operation) => breaker.fire(operation)
}

export const mollitiaFive = (slidingWindowSize?: number): Call => {
  const circuit = new Mollitia.Circuit({
    options: {
      modules: [
        new Mollitia.Fallback({ callback: () => -1 }),
        new Mollitia.Bulkhead({ concurrentSize: places, queueSize: 0 }),
        new Mollitia.SlidingCountBreaker(slidingWindowSize === undefined ? {} : { slidingWindowSize }),
        new Mollitia.Retry({ attempts: 2, interval: 200 }),
        new Mollitia.Timeout({ delay: limitMillis })
      ]
    }
  })
  return (operation) => circuit.fn(async () => operation()).execute()
}

export const mollitiaBreaker = (slidingWindowSize: number): Call => {
  const circuit = new Mollitia.Circuit({
    options: { modules: [new Mollitia.SlidingCountBreaker({ slidingWindowSize })] }
  })
  return (operation) => circuit.fn(async () => operation()).execute()
}
