/**
 * Typed clients of the three services. Each error says by its base what it means, so that every policy treats it right
 * without being told.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Failure from "@holdfast/core/Failure"
import * as Effect from "effect/Effect"
import type { Upstreams } from "./upstreams.js"

export interface Order {
  readonly id: string
  readonly number: number
  readonly total: number
}

/** The card was refused. The answer will not change, and it shows that payment is alive. */
export class CardDeclined extends Failure.Permanent("CardDeclined")<{ readonly order: string }> {}

/** The service answered with a server error, or the connection broke. */
export class Unavailable extends Failure.Retryable("Unavailable")<{
  readonly service: string
  readonly because: string
}> {}

export interface Clients {
  /** Charges the card of an order; with a key, a repeated charge is answered and not made. */
  readonly charge: (order: Order, idempotencyKey?: string) => Effect.Effect<void, CardDeclined | Unavailable>
  readonly reserve: (order: Order) => Effect.Effect<"reserved", Unavailable>
  readonly sendConfirmation: (order: Order) => Effect.Effect<void, Unavailable>
}

/** Builds the clients; `onPaymentAttempt` hears how long, in milliseconds, each attempt to charge held its caller. */
export const makeClients = (
  upstreams: Upstreams,
  onPaymentAttempt: (millis: number) => void
): Effect.Effect<Clients, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (client) => {
    // The body is read inside: whatever limits the call then covers it to its last byte, and the connection is free again.
    const post = (service: string, url: string, body: unknown, headers: Record<string, string> = {}) =>
      HttpClientRequest.post(url).pipe(
        HttpClientRequest.setHeaders(headers),
        HttpClientRequest.bodyUnsafeJson(body),
        client.execute,
        Effect.flatMap((response) => Effect.as(response.text, response.status)),
        Effect.mapError((error: HttpClientError.HttpClientError) =>
          new Unavailable({ service, because: error.message })
        ),
        Effect.filterOrFail(
          (status) => status < 500,
          (status) => new Unavailable({ service, because: `status ${status}` })
        )
      )

    const metered = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.suspend(() => {
        const startedAt = performance.now()
        return Effect.ensuring(effect, Effect.sync(() => onPaymentAttempt(performance.now() - startedAt)))
      })

    return {
      charge: (order, idempotencyKey) =>
        post(
          "payment",
          `${upstreams.paymentUrl}/charges`,
          order,
          idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }
        ).pipe(
          Effect.filterOrFail((status) => status !== 402, () => new CardDeclined({ order: order.id })),
          Effect.asVoid,
          metered
        ),
      reserve: (order) => Effect.as(post("inventory", `${upstreams.inventoryUrl}/reservations`, order), "reserved"),
      sendConfirmation: (order) => Effect.asVoid(post("notification", `${upstreams.notificationUrl}/mails`, order))
    }
  })
