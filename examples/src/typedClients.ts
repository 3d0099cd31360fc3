/**
 * Three typed clients, each under one dependency: an HttpApi client on a real socket, an RPC client, a repository over SQL.
 *
 *     node --import tsx examples/src/typedClients.ts
 */
import { Console, Effect } from "effect"
import * as httpApi from "./typed-clients/httpApi.js"
import * as rpc from "./typed-clients/rpc.js"
import * as sql from "./typed-clients/sql.js"

const program = Effect.gen(function*() {
  yield* Console.log("HttpApi:", yield* httpApi.program)
  yield* Console.log("RPC:", yield* rpc.program)
  yield* Console.log("SQL:", yield* sql.program)
})

Effect.runPromise(program)
