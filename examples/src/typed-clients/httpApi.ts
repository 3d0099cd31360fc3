/**
 * A typed HTTP client, derived from an API description, under one dependency. The server is real, on loopback.
 */
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
import { CardDeclined, GatewayBusy, Payments, Receipt } from "./payments.js"

const api = HttpApi.make("gateway").add(
  HttpApiGroup.make("payments")
    .add(
      HttpApiEndpoint.post("charge", "/charges")
        .setPayload(Schema.Struct({ order: Schema.String, cents: Schema.Number }))
        .addSuccess(Receipt)
        .addError(GatewayBusy, { status: 503 })
        .addError(CardDeclined, { status: 402 })
    )
    .add(
      HttpApiEndpoint.get("receipt", "/receipts/:order")
        .setPath(Schema.Struct({ order: Schema.String }))
        .addSuccess(Receipt)
        .addError(GatewayBusy, { status: 503 })
    )
)

/** The gateway: its first answer to a question for a receipt is "busy". */
const gateway = (log: Array<string>) => {
  let asked = 0
  return HttpApiBuilder.group(api, "payments", (handlers) =>
    handlers
      .handle("charge", ({ payload }) => {
        log.push(`charge ${payload.order}`)
        return payload.cents > 10_000
          ? Effect.fail(new CardDeclined({ reason: "limit" }))
          : Effect.succeed(new Receipt(payload))
      })
      .handle("receipt", ({ path }) => {
        log.push(`receipt ${path.order}`)
        return asked++ === 0
          ? Effect.fail(new GatewayBusy())
          : Effect.succeed(new Receipt({ order: path.order, cents: 500 }))
      }))
}

/** Each method of the derived client under the operation of its name: the errors of the policy join those of the API. */
const makeClient = Effect.map(HttpApiClient.make(api), ({ payments }) => ({
  charge: (order: string, cents: number) =>
    payments.charge({ payload: { order, cents } }).pipe(Payments.call({ operation: "charge" })),
  receipt: (order: string) => payments.receipt({ path: { order } }).pipe(Payments.call({ operation: "receipt" }))
}))

export const program = Effect.gen(function*() {
  const log: Array<string> = []
  const server = HttpApiBuilder.serve().pipe(
    Layer.provide(HttpApiBuilder.api(api).pipe(Layer.provide(gateway(log)))),
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
  return yield* Effect.gen(function*() {
    const client = yield* makeClient
    const charged = yield* client.charge("o-1", 500)
    // busy at first, an answer at the second attempt
    const receipt = yield* client.receipt("o-1")
    const declined = yield* Effect.flip(client.charge("o-2", 20_000))
    return { charged, receipt, declined: declined._tag, log }
  }).pipe(Effect.provide(server))
}).pipe(Effect.provide(Payments.layer), Effect.scoped)
