/**
 * A repository over SQL under one dependency: errors of a driver are classified by their code, a write in a transaction is not
 * repeated, a read is. The driver is a map in memory with the manners of a database.
 */
import * as Dependency from "@holdfast/core/Dependency"
import * as Failure from "@holdfast/core/Failure"
import { Data, Effect, Option } from "effect"

/** What a driver fails with. */
export class SqlError extends Data.TaggedError("SqlError")<{ readonly code: string }> {}

/** Serialization failures, deadlocks and lost connections may be cured by another try; a violated constraint may not. */
const classify = Failure.byTag({
  SqlError: (error: SqlError) => ["40001", "40P01", "57P01"].includes(error.code) ? "Retryable" : "Permanent"
})

export class OrdersDb extends Dependency.Service<OrdersDb>()("orders-db", {
  // as many as the pool has connections
  bulkhead: { maxConcurrent: 10, maxQueue: 50, maxWait: "200 millis" },
  attemptTimeout: "500 millis",
  // three attempts and the delays between them take 2.1 s at most
  totalTimeout: "2500 millis",
  classify,
  lint: { pool: { size: 10 } },
  operations: { insert: { repeatable: false }, find: {} }
}) {}

interface Driver {
  readonly query: (
    statement: string,
    ...parameters: ReadonlyArray<string>
  ) => Effect.Effect<Option.Option<string>, SqlError>
}

/** The first read of each order meets a serialization failure. */
const makeDriver = (log: Array<string>): Driver => {
  const rows = new Map<string, string>()
  const met = new Set<string>()
  return {
    query: (statement, id = "", value = "") =>
      Effect.suspend(() => {
        log.push(`${statement} ${id}`)
        if (statement === "insert") {
          if (rows.has(id)) {
            return Effect.fail(new SqlError({ code: "23505" }))
          }
          rows.set(id, value)
          return Effect.succeedNone
        }
        if (!met.has(id)) {
          met.add(id)
          return Effect.fail(new SqlError({ code: "40001" }))
        }
        return Effect.succeed(Option.fromNullable(rows.get(id)))
      })
  }
}

const makeRepository = (driver: Driver) => ({
  insert: (id: string, value: string) => driver.query("insert", id, value).pipe(OrdersDb.call({ operation: "insert" })),
  find: (id: string) => driver.query("select", id).pipe(OrdersDb.call({ operation: "find" }))
})

export const program = Effect.suspend(() => {
  const log: Array<string> = []
  const orders = makeRepository(makeDriver(log))
  return Effect.gen(function*() {
    yield* orders.insert("o-1", "two books")
    const found = yield* orders.find("o-1")
    const twice = yield* orders.insert("o-1", "again").pipe(
      Effect.as("inserted twice"),
      Effect.catchTag("SqlError", ({ code }) => Effect.succeed(`SqlError ${code}`))
    )
    return { found, twice, log }
  })
}).pipe(Effect.provide(OrdersDb.layer))
