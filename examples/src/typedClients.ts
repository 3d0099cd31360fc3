/**
 * Three typed clients, each under one dependency: an HttpApi client on a real socket, an RPC client, a repository over SQL.
 *
 *     node --import tsx examples/src/typedClients.ts
 */
import { Console, Effect, Option } from "effect"
import * as httpApi from "./typed-clients/httpApi.js"
import * as rpc from "./typed-clients/rpc.js"
import * as sql from "./typed-clients/sql.js"

const program = Effect.gen(function*() {
  yield* Console.log("HttpApi:", yield* httpApi.program)
  yield* Console.log("RPC:", yield* rpc.program)
  const { found, log, twice } = yield* sql.program
  yield* Console.log("SQL:", { found: Option.getOrNull(found), twice, log })
})

Effect.runPromise(program)

/* Prints:

HttpApi: {
  charged: Receipt { order: 'o-1', cents: 500 },
  receipt: Receipt { order: 'o-1', cents: 500 },
  declined: 'CardDeclined',
  log: [ 'charge o-1', 'receipt o-1', 'receipt o-1', 'charge o-2' ]
}
RPC: {
  charged: Receipt { order: 'o-1', cents: 500 },
  receipt: Receipt { order: 'o-1', cents: 500 },
  declined: 'CardDeclined',
  log: [ 'charge o-1', 'receipt o-1', 'receipt o-1', 'charge o-2' ]
}
SQL: {
  found: 'two books',
  twice: 'SqlError 23505',
  log: [ 'insert o-1', 'select o-1', 'select o-1', 'insert o-1' ]
}
*/
