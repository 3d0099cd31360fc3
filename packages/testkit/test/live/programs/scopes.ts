/** Proxies whose scopes are closed while connections are held: nothing may keep this process alive. */
import * as FaultProxy from "@holdfast/testkit/FaultProxy"
import * as Toxic from "@holdfast/testkit/Toxic"
import * as Effect from "effect/Effect"
import { connect, eventually, server } from "../../support/network.js"

const program = Effect.gen(function*() {
  const { address, peers } = yield* server()
  const proxy = yield* FaultProxy.make({
    upstream: address,
    toxics: [
      Toxic.latency({ latency: "1 hour" }),
      Toxic.timeout({ after: "1 hour", stream: "upstream" }),
      Toxic.slowClose({ delay: "1 hour" })
    ]
  })
  const clients = yield* Effect.forEach([1, 2, 3], () => connect(proxy.port()))
  yield* eventually(() => peers.length === clients.length)
  for (const peer of [...peers, ...clients]) peer.write("held")
  peers[0]!.end()
  yield* eventually(() =>
    proxy.connections().every(({ held, received }) => held.downstream === 4 && received.upstream === 4)
  )
  yield* FaultProxy.make({ upstream: address, enabled: false })
}).pipe(Effect.scoped)

await Effect.runPromise(program)
console.log("scopes closed")
