/**
 * Typed clients of the three services. They speak through one HTTP client per service and do not know whether a policy stands
 * around it.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Failure from "@holdfast/core/Failure"
import * as Effect from "effect/Effect"
import type { Upstreams } from "./upstreams.js"

export interface Order {
  readonly id: string
  readonly number: number
  readonly total: number
}

/** The card was refused. The answer will not change. */
export class CardDeclined extends Failure.Permanent("CardDeclined")<{ readonly order: string }> {}

/** The service answered with a server error, or the connection broke. */
export class Unavailable extends Failure.Retryable("Unavailable")<{
  readonly service: string
  readonly because: string
}> {}

/** The way to each service: plain, or under a policy that adds its errors. */
export interface HttpClients<E = never> {
  readonly payment: HttpClient.HttpClient.With<HttpClientError.HttpClientError | E>
  readonly inventory: HttpClient.HttpClient.With<HttpClientError.HttpClientError | E>
  readonly notification: HttpClient.HttpClient.With<HttpClientError.HttpClientError | E>
}

/** The client of the context for all three; `onPaymentAttempt` hears how long, in milliseconds, each attempt to charge held its caller. */
export const plainClients = (
  onPaymentAttempt: (millis: number) => void
): Effect.Effect<HttpClients, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (client) => ({
    payment: HttpClient.transform(client, (attempt) =>
      Effect.suspend(() => {
        const startedAt = performance.now()
        return Effect.ensuring(attempt, Effect.sync(() => onPaymentAttempt(performance.now() - startedAt)))
      })),
    inventory: client,
    notification: client
  }))

export interface Clients<E = never> {
  /** Charges the card of an order; with a key, a repeated charge is answered and not made. */
  readonly charge: (order: Order, idempotencyKey?: string) => Effect.Effect<void, CardDeclined | Unavailable | E>
  readonly reserve: (order: Order) => Effect.Effect<"reserved", Unavailable | E>
  readonly sendConfirmation: (order: Order) => Effect.Effect<void, Unavailable | E>
}

const post = <E>(
  client: HttpClient.HttpClient.With<HttpClientError.HttpClientError | E>,
  service: string,
  url: string,
  order: Order,
  headers: Record<string, string> = {}
): Effect.Effect<number, Unavailable | E> =>
  HttpClientRequest.post(url).pipe(
    HttpClientRequest.setHeaders({ "x-request-id": order.id, ...headers }),
    HttpClientRequest.bodyUnsafeJson(order),
    client.execute,
    Effect.flatMap((response) => Effect.as(response.text, response.status)),
    // What a policy answers in the place of the service passes as it is.
    Effect.mapError((error) =>
      HttpClientError.isHttpClientError(error) ? new Unavailable({ service, because: error.message }) : error as E
    ),
    Effect.filterOrFail((status) => status < 500, (status) => new Unavailable({ service, because: `status ${status}` }))
  )

export const makeClients = <E>(
  upstreams: Pick<Upstreams, "paymentUrl" | "inventoryUrl" | "notificationUrl">,
  { inventory, notification, payment }: HttpClients<E>
): Clients<E> => ({
  charge: (order, idempotencyKey) =>
    post(
      payment,
      "payment",
      `${upstreams.paymentUrl}/charges`,
      order,
      idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }
    ).pipe(
      Effect.filterOrFail((status) => status !== 402, () => new CardDeclined({ order: order.id })),
      Effect.asVoid
    ),
  reserve: (order) =>
    Effect.as(post(inventory, "inventory", `${upstreams.inventoryUrl}/reservations`, order), "reserved"),
  sendConfirmation: (order) =>
    Effect.asVoid(post(notification, "notification", `${upstreams.notificationUrl}/mails`, order))
})
