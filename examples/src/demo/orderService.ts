/**
 * The checkout twice: as it stood on the day everything fell down, and protected by Holdfast. Everything else of the
 * service, its routes, its workers, its clients, is the same for both.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Backoff from "@holdfast/core/Backoff"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Dependency from "@holdfast/core/Dependency"
import * as Fallback from "@holdfast/core/Fallback"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type { HttpClients, Order } from "./clients.js"
import { makeClients } from "./clients.js"
import type { ScaledClock } from "./scenario.js"
import type { Upstreams } from "./upstreams.js"

/** What the user gets to see. */
export type Answer =
  | { readonly status: "confirmed" }
  | { readonly status: "pending"; readonly message: string }
  | { readonly status: "refused"; readonly message: string }
  | { readonly status: "unavailable"; readonly message: string }

const confirmed: Answer = { status: "confirmed" }

const refused: Answer = { status: "refused", message: "Your card was declined." }

const unavailable: Answer = {
  status: "unavailable",
  message: "Checkout is closed for some minutes, your card was not charged."
}

/** Answers for an inventory that does not. */
const estimate = Fallback.orElse("estimated" as const)

export interface Checkout<E> {
  readonly place: (order: Order) => Effect.Effect<Answer, E>
}

/**
 * The checkout that caused the outage. It waits for payment for as long as payment likes, and a worker waits with it; it
 * tries nothing again; and when something fails it has nothing to say but an error.
 */
export const unprotectedCheckout = (upstreams: Upstreams, http: HttpClients) =>
  Effect.map(Effect.scope, (scope) => {
    const clients = makeClients(upstreams, http)
    return {
      place: (order: Order) =>
        Effect.gen(function*() {
          yield* clients.reserve(order)
          yield* clients.charge(order)
          yield* Effect.forkIn(Effect.ignore(clients.sendConfirmation(order)), scope)
          return confirmed
        }).pipe(
          Effect.catchTag("CardDeclined", () => Effect.succeed(refused))
        )
    }
  })

/** What each dependency gets, by its part in an order. Times are seconds of that Tuesday. */
export const limits = {
  // An outside company: patient, but one retry at most, so that 5 s + 1 s + 5 s stay within the 15 s that an order may take.
  payment: {
    total: 15,
    maxConcurrent: 20,
    failures: 5,
    openFor: 30,
    maxRetries: 1,
    backoff: 1,
    attempt: 5
  },
  // Next door and fast: no retry, and a higher tolerance before it is taken for down.
  inventory: { maxConcurrent: 30, failures: 10, openFor: 15, attempt: 2 },
  // Nobody waits for a mail: more retries with longer pauses, few places, and a long rest when it is down.
  notification: {
    total: 16,
    maxConcurrent: 10,
    failures: 5,
    openFor: 60,
    maxRetries: 2,
    backoff: 2,
    attempt: 3
  }
} as const

/** Each dependency is declared once: breaker and bulkhead must see every call, and health and metrics find them by their names. */
const declare = ({ scale, seconds }: ScaledClock) => {
  const { inventory, notification, payment } = limits
  // The default retry budget, one retry per second and 20 % of the calls of the last 10 s, on the scaled clock as all else.
  const budget = { minimumPerSecond: scale, ttl: Duration.max(seconds(10), "1 second") }
  return {
    Payment: Dependency.Service<"payment">()("payment", {
      totalTimeout: seconds(payment.total),
      bulkhead: { maxConcurrent: payment.maxConcurrent },
      circuitBreaker: {
        tripPolicy: CircuitBreaker.consecutive(payment.failures),
        openDuration: seconds(payment.openFor)
      },
      retry: { maxRetries: payment.maxRetries, schedule: Backoff.exponential(seconds(payment.backoff)), budget },
      attemptTimeout: seconds(payment.attempt)
    }),
    Inventory: Dependency.Service<"inventory">()("inventory", {
      totalTimeout: false,
      bulkhead: { maxConcurrent: inventory.maxConcurrent },
      circuitBreaker: {
        tripPolicy: CircuitBreaker.consecutive(inventory.failures),
        openDuration: seconds(inventory.openFor)
      },
      retry: false,
      attemptTimeout: seconds(inventory.attempt)
    }),
    Notification: Dependency.Service<"notification">()("notification", {
      totalTimeout: seconds(notification.total),
      bulkhead: { maxConcurrent: notification.maxConcurrent },
      circuitBreaker: {
        tripPolicy: CircuitBreaker.consecutive(notification.failures),
        openDuration: seconds(notification.openFor)
      },
      retry: {
        maxRetries: notification.maxRetries,
        schedule: Backoff.exponential(seconds(notification.backoff)),
        budget
      },
      attemptTimeout: seconds(notification.attempt)
    })
  }
}

/** The way to each service under its policy. A POST is sent once, whatever its policy says, unless a key names it. */
const protect = (http: HttpClients, clock: ScaledClock) => {
  const { Inventory, Notification, Payment } = declare(clock)
  // The layers check the policies before the first call; what they refuse is a bug. What they only warn of is left out: on the
  // scaled clock every open duration looks too short to them.
  const started = Layer.build(Layer.mergeAll(Inventory.layer, Notification.layer, Payment.layer)).pipe(
    Logger.withMinimumLogLevel(LogLevel.Error),
    Effect.orDie
  )
  return Effect.map(started, (live) => {
    const provided = HttpClient.transformResponse(Effect.provide(live))
    return {
      // The id of the order is the key of its payment, here and when a pending one is settled: however often it is asked for,
      // the bank charges once. That is why this call may be repeated at all.
      payment: provided(HttpResilience.withDependency(http.payment, Payment, {
        operation: () => "POST /charges",
        facts: ({ headers }) => ({ requestId: headers["x-request-id"] })
      })),
      inventory: provided(HttpResilience.withDependency(http.inventory, Inventory, {
        operation: () => "POST /reservations",
        facts: ({ headers }) => ({ requestId: headers["x-request-id"] })
      })),
      // Mails get a key of their own, the same on every attempt.
      notification: provided(HttpResilience.withDependency(http.notification, Notification, {
        operation: () => "POST /mails",
        idempotencyKey: true,
        facts: ({ headers }) => ({ requestId: headers["x-request-id"], criticality: "optional" })
      }))
    }
  })
}

/** The same checkout as it should have looked. */
export const protectedCheckout = (upstreams: Upstreams, http: HttpClients, clock: ScaledClock) =>
  Effect.gen(function*() {
    const clients = makeClients(upstreams, yield* protect(http, clock))
    const scope = yield* Effect.scope

    // The warehouse knows better later; an order is not lost because the shelf could not be seen.
    const reserve = (order: Order) => estimate(clients.reserve(order))

    const charge = (order: Order) => clients.charge(order, order.id)

    // The mail must outlive the order that it confirms, so it leaves the order's deadline; it may be lost in silence.
    const notify = (order: Order) =>
      clients.sendConfirmation(order).pipe(Effect.ignore, Deadline.detached, Effect.forkIn(scope))

    // Settles through the same policy: while the circuit is open a pending payment waits as long as the circuit says, and the
    // probe that finds payment well again is a pending payment as likely as a new order.
    const pendingPayments = yield* Fallback.DeferralQueue.make({
      name: "pending payments",
      capacity: 10_000,
      // A declined card is an end too, and no failure of the queue.
      settle: (order: Order) =>
        charge(order).pipe(
          Effect.as("charged" as const),
          Effect.catchTag("CardDeclined", () => Effect.succeed("declined" as const))
        ),
      schedule: Backoff.exponential(clock.seconds(5), { cap: clock.seconds(20) }),
      concurrency: 3,
      id: (order: Order) => order.id,
      message: "We have your order. The payment is on its way; a mail will tell you when it is through.",
      // The demo ends when nothing is pending, or by Ctrl-C, which shall not wait. A service gives its queue some seconds.
      drainFor: 0
    })

    // In order: take the order and charge later; if even the queue is full, say so. A declined card is an answer and passes.
    const payLater = Fallback.make({
      name: "payment",
      dependency: "payment",
      tiers: [
        Fallback.defer(pendingPayments),
        Fallback.value(unavailable, { when: ["CircuitOpen", "BulkheadFull", "TimedOut", "Unavailable"] })
      ]
    })

    const place = (order: Order): Effect.Effect<Answer> =>
      Effect.gen(function*() {
        yield* reserve(order)
        const paid = yield* charge(order).pipe(Effect.as(confirmed), payLater.with(order))
        if (paid instanceof Fallback.Pending) {
          return { status: "pending", message: paid.message } as const
        }
        if (paid.status === "confirmed") {
          yield* notify(order)
        }
        return paid
      }).pipe(
        Effect.catchTag("CardDeclined", () => Effect.succeed(refused))
      )

    return { place, notify, pendingPayments }
  })
