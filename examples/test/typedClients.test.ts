import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Option } from "effect"
import * as httpApi from "../src/typed-clients/httpApi.js"
import * as rpc from "../src/typed-clients/rpc.js"
import * as sql from "../src/typed-clients/sql.js"

// One process has one dependency of a name: one after the other.
describe.sequential("typed clients under one dependency", () => {
  /** Runs an example. It logs nothing, so its own policies pass the lint. */
  const silent = <A, E>(program: Effect.Effect<A, E>): Effect.Effect<A, E> => {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ logLevel, message }) =>
      void lines.push(`${logLevel.label} ${message}`)
    )
    return program.pipe(
      Effect.tap(() => Effect.sync(() => assert.deepStrictEqual(lines, []))),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger))
    )
  }

  const calls = ["charge o-1", "receipt o-1", "receipt o-1", "charge o-2"]

  it.live("an HttpApi client: a busy answer is asked for again, a declined card is not", () =>
    Effect.map(silent(httpApi.program), ({ charged, declined, log, receipt }) => {
      assert.deepStrictEqual(log, calls)
      assert.strictEqual(charged.cents, 500)
      assert.strictEqual(receipt.order, "o-1")
      assert.strictEqual(declined, "CardDeclined")
    }))

  it.live("an RPC client: the same", () =>
    Effect.map(silent(rpc.program), ({ charged, declined, log, receipt }) => {
      assert.deepStrictEqual(log, calls)
      assert.strictEqual(charged.cents, 500)
      assert.strictEqual(receipt.order, "o-1")
      assert.strictEqual(declined, "CardDeclined")
    }))

  it.live("a repository: a serialization failure of a read is tried again, a violated constraint is not", () =>
    Effect.map(silent(sql.program), ({ found, log, twice }) => {
      assert.deepStrictEqual(found, Option.some("two books"))
      assert.deepStrictEqual(log, ["insert o-1", "select o-1", "select o-1", "insert o-1"])
      assert.strictEqual(twice, "SqlError 23505")
    }))
})
