/**
 * A charge that succeeded and whose answer was lost: the bank has done the work, and the connection breaks before its answer is there.
 * Whoever just tries again charges twice.
 *
 *     node --import tsx examples/src/idempotentPayments.ts
 *
 * It prints one line for each way to handle it, with what the bank itself has counted: the requests to charge, the different keys on
 * them, and the charges. Only the blind retry charges twice. With a key every attempt is the same call, and the bank answers the second
 * without charging again. Without a key the request is sent exactly once, and the caller is told the truth, that nobody knows yet,
 * and finds out by asking, since asking may be repeated.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Backoff from "@holdfast/core/Backoff"
import * as Dependency from "@holdfast/core/Dependency"
import * as HttpFailure from "@holdfast/http/HttpFailure"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { count, table } from "./drawing.js"
import { type Loss, startBank } from "./payments/bank.js"

class Payments extends Dependency.Service<Payments>()("payments", {
  bulkhead: { maxConcurrent: 20 },
  retry: { maxRetries: 2, schedule: Backoff.exponential("50 millis") }
}) {}

/** The request may have arrived and the answer did not: nobody on this side knows whether the card was charged. */
class ChargeUnknown extends Data.TaggedError("ChargeUnknown")<{ readonly order: string }> {
  override get message(): string {
    return `It is not known yet whether ${this.order} was charged`
  }
}

/** The card was certainly not charged. */
class NotCharged extends Data.TaggedError("NotCharged")<{ readonly order: string; readonly because: string }> {}

const charge = (order: string, key?: string) =>
  HttpClientRequest.post("/charges").pipe(
    HttpClientRequest.bodyUnsafeJson({ order, cents: 18_900 }),
    key === undefined ? (request) => request : HttpClientRequest.setHeader("idempotency-key", key)
  )

const clients = (url: string) =>
  Effect.map(HttpClient.HttpClient, (plain) => {
    const bank = plain.pipe(
      HttpClient.mapRequest(HttpClientRequest.prependUrl(url)),
      HttpClient.filterStatusOk
    )
    return {
      blind: HttpClient.retryTransient(bank, { times: 2 }),
      // No key: a POST is sent again only if it is proved that nothing was sent.
      careful: HttpResilience.withDependency(bank, Payments),
      // A key for every POST, made once per call and sent with each attempt.
      keyed: HttpResilience.withDependency(bank, Payments, { idempotencyKey: true })
    }
  })

type Clients = Effect.Effect.Success<ReturnType<typeof clients>>

/** Charges without a key, and says of every failure what it means for the customer's money. */
const chargeOnce = ({ careful }: Clients, order: string) =>
  careful.execute(charge(order)).pipe(
    Effect.as("charged"),
    Effect.mapError((error) => {
      // Refused by our own policies, never sent, or refused by the bank. Everything else says nothing either way: a timeout, a connection
      // that broke, a server error.
      const certainlyNot = error._tag === "CircuitOpen" || error._tag === "BulkheadFull" ||
        HttpFailure.reachOf(error) === "NeverSent" || (error._tag === "ResponseError" && error.response.status < 500)
      return certainlyNot ? new NotCharged({ order, because: error.message }) : new ChargeUnknown({ order })
    })
  )

/** Asks the bank what became of it. A GET: it is tried again until it is answered. */
const lookUp = ({ careful }: Clients, order: string) =>
  careful.get(`/charges/${order}`).pipe(
    Effect.flatMap(HttpClientResponse.schemaBodyJson(Schema.Struct({ charges: Schema.Number }))),
    Effect.map(({ charges }) => charges === 0 ? "not charged" : "charged")
  )

const openly = (bank: Clients, order: string) =>
  chargeOnce(bank, order).pipe(
    Effect.catchTag("ChargeUnknown", () => Effect.map(lookUp(bank, order), (found) => `unknown, then asked: ${found}`))
  )

/** One bank per story, so that each is counted for itself. */
const story = <E, R>(title: string, loss: Loss, tell: (bank: Clients) => Effect.Effect<string, E, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const bank = yield* startBank(loss)
    const known = yield* tell(yield* clients(bank.url))
    const { charges, keys, requests } = bank.counted
    return [title, count(requests), count(keys.size), count(charges), known]
  }))

const program = Effect.gen(function*() {
  const rows = yield* Effect.all([
    story(
      "tried again blindly",
      "after the work",
      ({ blind }) => Effect.as(blind.execute(charge("o-1")), "charged")
    ),
    story("no key, answer lost", "after the work", (bank) => openly(bank, "o-1")),
    story("no key, request lost", "before the work", (bank) => openly(bank, "o-1")),
    story(
      "a key per call",
      "after the work",
      ({ keyed }) => Effect.as(keyed.execute(charge("o-1")), "charged")
    ),
    story(
      "the order is the key, pressed twice",
      "after the work",
      ({ careful }) =>
        Effect.as(Effect.all([careful, careful].map((bank) => bank.execute(charge("o-1", "\"o-1\"")))), "charged")
    )
  ])
  yield* Console.log(table([["", "requests", "keys", "charges", "what the caller knows"], ...rows]))
})

await Effect.runPromise(program.pipe(Effect.provide(Layer.merge(Payments.layer, NodeHttpClient.layerUndici))))

/* Prints:

                                      requests   keys   charges              what the caller knows
tried again blindly                          2      0         2                            charged
no key, answer lost                          1      0         1       unknown, then asked: charged
no key, request lost                         1      0         0   unknown, then asked: not charged
a key per call                               2      1         1                            charged
the order is the key, pressed twice          3      1         1                            charged
*/
