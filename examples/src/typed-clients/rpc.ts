/**
 * A typed RPC client under one dependency. Here the server runs in the same process; over a socket nothing else changes.
 */
import { Rpc, RpcGroup, RpcTest } from "@effect/rpc"
import { Effect, Schema } from "effect"
import { CardDeclined, GatewayBusy, Payments, Receipt } from "./payments.js"

class Gateway extends RpcGroup.make(
  Rpc.make("charge", {
    payload: { order: Schema.String, cents: Schema.Number },
    success: Receipt,
    error: Schema.Union(GatewayBusy, CardDeclined)
  }),
  Rpc.make("receipt", { payload: { order: Schema.String }, success: Receipt, error: GatewayBusy })
) {}

/** The gateway: its first answer to a question for a receipt is "busy". */
const gateway = (log: Array<string>) => {
  let asked = 0
  return Gateway.toLayer({
    charge: ({ cents, order }) => {
      log.push(`charge ${order}`)
      return cents > 10_000
        ? Effect.fail(new CardDeclined({ reason: "limit" }))
        : Effect.succeed(new Receipt({ order, cents }))
    },
    receipt: ({ order }) => {
      log.push(`receipt ${order}`)
      return asked++ === 0 ? Effect.fail(new GatewayBusy()) : Effect.succeed(new Receipt({ order, cents: 500 }))
    }
  })
}

const makeClient = Effect.map(RpcTest.makeClient(Gateway), (rpc) => ({
  charge: (order: string, cents: number) => rpc.charge({ order, cents }).pipe(Payments.call({ operation: "charge" })),
  receipt: (order: string) => rpc.receipt({ order }).pipe(Payments.call({ operation: "receipt" }))
}))

export const program = Effect.suspend(() => {
  const log: Array<string> = []
  return Effect.gen(function*() {
    const client = yield* makeClient
    const charged = yield* client.charge("o-1", 500)
    const receipt = yield* client.receipt("o-1")
    const declined = yield* Effect.flip(client.charge("o-2", 20_000))
    return { charged, receipt, declined: declined._tag, log }
  }).pipe(Effect.provide(gateway(log)))
}).pipe(Effect.provide(Payments.layer), Effect.scoped)
