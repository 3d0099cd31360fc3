/**
 * The three services that the order service calls: real HTTP servers on loopback, with the troubles of the day.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type * as Net from "node:net"
import type { ScaledClock, Scenario } from "./scenario.js"
import { isDeclined, notificationIsDown, paymentIsSlow } from "./scenario.js"

/** What the bank did, written down by the bank itself: the promises are checked against it, not against what the service believes. */
export interface Ledger {
  /** How often each order was charged. */
  readonly charges: Map<string, number>
  /** Requests that repeated a key the bank knew, and were answered without charging again. */
  duplicates: number
}

export interface Upstreams {
  readonly paymentUrl: string
  readonly inventoryUrl: string
  readonly notificationUrl: string
  readonly ledger: Ledger
  readonly mailsSent: () => number
  /** Begins the books anew. */
  readonly forget: () => void
  /** Waits as long as the database and does nothing else: what a request to it takes more than that is the machine's. */
  readonly controlUrl: string
}

interface Reply {
  readonly status: number
  readonly body: unknown
}

const readBody = async (request: Http.IncomingMessage): Promise<any> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) {
    chunks.push(chunk as Buffer)
  }
  return chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString())
}

/** A server on a free port that answers with `reply`, and is gone, connections and all, when the scope closes. */
const listen = (
  reply: (body: any, request: Http.IncomingMessage) => Promise<Reply>
): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Http.Server>((resume) => {
      const server = Http.createServer((request, response) => {
        readBody(request).then((body) => reply(body, request)).then(
          ({ body, status }) => {
            // The caller may have hung up long ago; a bank books the charge all the same.
            if (!response.destroyed) {
              response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
            }
          },
          () => response.destroy()
        )
      })
      // Longer than the demo: a connection that closes while a request is on its way would look like a failure of the service.
      server.keepAliveTimeout = 120_000
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  ).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as Net.AddressInfo).port}`))

/** Starts payment, inventory and notification. */
export const startUpstreams = (scenario: Scenario, clock: ScaledClock): Effect.Effect<Upstreams, never, Scope.Scope> =>
  Effect.gen(function*() {
    const timers = yield* Effect.acquireRelease(
      Effect.sync(() => new Set<NodeJS.Timeout>()),
      (pending) => Effect.sync(() => pending.forEach(clearTimeout))
    )
    const pass = (seconds: number): Promise<void> =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          timers.delete(timer)
          resolve()
        }, clock.millis(seconds))
        timers.add(timer)
      })

    const ledger: Ledger = { charges: new Map(), duplicates: 0 }
    const known = new Map<string, Promise<Reply>>()

    const charge = async (order: { readonly id: string; readonly number: number }): Promise<Reply> => {
      await pass(paymentIsSlow(scenario, clock.now()) ? scenario.payment.slowLatency : scenario.payment.healthyLatency)
      if (isDeclined(scenario, order.number)) {
        return { status: 402, body: { reason: "declined" } }
      }
      ledger.charges.set(order.id, (ledger.charges.get(order.id) ?? 0) + 1)
      return { status: 200, body: { charged: order.id } }
    }

    const paymentUrl = yield* listen(async (order, request) => {
      const key = request.headers["idempotency-key"]
      if (typeof key !== "string") {
        return charge(order)
      }
      const first = known.get(key)
      if (first !== undefined) {
        ledger.duplicates++
        return first
      }
      const reply = charge(order)
      known.set(key, reply)
      return reply
    })

    const inventoryUrl = yield* listen(async () => {
      await pass(scenario.inventory.latency)
      return { status: 200, body: { status: "reserved" } }
    })

    let mails = 0
    const notificationUrl = yield* listen(async () => {
      await pass(scenario.notification.latency)
      if (notificationIsDown(scenario, clock.now())) {
        return { status: 503, body: { reason: "unavailable" } }
      }
      mails++
      return { status: 202, body: { status: "sent" } }
    })

    const controlUrl = yield* listen(async () => {
      await pass(scenario.service.databaseLatency)
      return { status: 200, body: {} }
    })

    const forget = () => {
      ledger.charges.clear()
      ledger.duplicates = 0
      mails = 0
    }

    return { paymentUrl, inventoryUrl, notificationUrl, controlUrl, ledger, mailsSent: () => mails, forget }
  })
