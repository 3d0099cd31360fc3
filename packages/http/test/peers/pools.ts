/** The three transports with a pool of so many connections each, of their own. */
import { FetchHttpClient, type HttpClient } from "@effect/platform"
import { NodeHttpClient, Undici } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { UndiciDispatcher } from "../support/modules.js"

const agent = (connections: number) =>
  Effect.acquireRelease(
    Effect.sync(() => new Undici.Agent({ connections, pipelining: 1 })),
    (agent) => Effect.promise(() => agent.destroy())
  )

export const pools: ReadonlyArray<
  readonly [transport: string, layer: (connections: number) => Layer.Layer<HttpClient.HttpClient>]
> = [
  ["fetch", (connections) =>
    Layer.provideMerge(
      FetchHttpClient.layer,
      Layer.scoped(
        FetchHttpClient.RequestInit,
        Effect.map(agent(connections), (dispatcher) => ({ dispatcher }) as unknown as RequestInit)
      )
    )],
  ["node", (connections) =>
    Layer.provide(
      NodeHttpClient.layerWithoutAgent,
      NodeHttpClient.makeAgentLayer({ keepAlive: true, maxSockets: connections })
    )],
  ["undici", (connections) => UndiciDispatcher.layerClient({ connections })]
]
