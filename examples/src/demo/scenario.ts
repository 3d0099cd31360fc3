/**
 * The day as numbers: how long it lasts, when payment turns slow, how much load comes and what the service owns.
 */
import * as Duration from "effect/Duration"

/** What happens in one run. Times are seconds of that Tuesday unless the name says otherwise. */
export interface Scenario {
  /** Seconds of that Tuesday that pass in one second of the demo. */
  readonly scale: number
  /** How long orders come in. */
  readonly length: number
  readonly payment: {
    readonly healthyLatency: number
    readonly slowLatency: number
    readonly slowFrom: number
    readonly slowUntil: number
    /** Every so manieth card is declined: an answer, not a failure. */
    readonly declinesEvery: number
  }
  readonly inventory: { readonly latency: number }
  readonly notification: {
    readonly latency: number
    readonly flapsFrom: number
    readonly flapsUntil: number
    /** Once in this time it is down, for so long. */
    readonly flapPeriod: number
    readonly flapDown: number
  }
  readonly load: {
    /** Per second of the demo. */
    readonly ordersPerSecond: number
    /** Per second of the demo. */
    readonly catalogPerSecond: number
    /** How long a user, or the load balancer for them, waits for an answer. */
    readonly patience: number
  }
  readonly service: {
    /** Requests served at once, whatever they wait for: a worker thread with its database connection. */
    readonly workers: number
    /** Requests that may wait for a worker; beyond it the service answers 503. */
    readonly acceptQueue: number
    readonly databaseLatency: number
  }
  /** How long, after the last order, the service gets to settle what is pending. */
  readonly settleWithin: number
}

/** The day as `npm run demo` shows it: 10 seconds of that Tuesday in each second. */
export const tuesday: Scenario = {
  scale: 10,
  length: 180,
  payment: { healthyLatency: 0.2, slowLatency: 30, slowFrom: 40, slowUntil: 105, declinesEvery: 50 },
  inventory: { latency: 0.05 },
  notification: { latency: 0.1, flapsFrom: 20, flapsUntil: 140, flapPeriod: 10, flapDown: 1.5 },
  load: { ordersPerSecond: 30, catalogPerSecond: 20, patience: 20 },
  service: { workers: 50, acceptQueue: 100, databaseLatency: 0.03 },
  settleWithin: 60
}

/** A clock on which that Tuesday passes faster; all limits and latencies of the demo go through it. */
export interface ScaledClock {
  /** Seconds of that Tuesday in one second of this process. */
  readonly scale: number
  /** Seconds of that Tuesday since the run began. */
  readonly now: () => number
  /** So many seconds of that Tuesday, as this process has to wait for them. */
  readonly seconds: (seconds: number) => Duration.Duration
  readonly millis: (seconds: number) => number
}

/** Starts the clock of one run. */
export const startClock = (scale: number): ScaledClock => {
  const started = performance.now()
  const millis = (seconds: number) => seconds * 1000 / scale
  return {
    scale,
    now: () => (performance.now() - started) / 1000 * scale,
    seconds: (seconds) => Duration.millis(millis(seconds)),
    millis
  }
}

/** Is payment slow at this second? */
export const paymentIsSlow = (scenario: Scenario, second: number): boolean =>
  second >= scenario.payment.slowFrom && second < scenario.payment.slowUntil

/** Is notification down at this second? */
export const notificationIsDown = ({ notification }: Scenario, second: number): boolean =>
  second >= notification.flapsFrom && second < notification.flapsUntil &&
  (second - notification.flapsFrom) % notification.flapPeriod < notification.flapDown

/** Does the bank decline the card of the order with this number? */
export const isDeclined = (scenario: Scenario, orderNumber: number): boolean =>
  orderNumber % scenario.payment.declinesEvery === scenario.payment.declinesEvery - 1
