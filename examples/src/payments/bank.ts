/**
 * A bank on loopback that loses the first answer, and counts what it was asked and what it did.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Reaction, upstream } from "../upstream.js"

/** When the connection of the first request to charge breaks. */
export type Loss = "before the work" | "after the work"

export interface Bank {
  readonly url: string
  readonly counted: {
    /** Requests to charge, whatever became of them. */
    requests: number
    charges: number
    readonly keys: Set<string>
  }
}

export const startBank = (loss: Loss): Effect.Effect<Bank, never, Scope.Scope> => {
  const counted = { requests: 0, charges: 0, keys: new Set<string>() }
  const answered = new Map<string, Reaction>()
  const charged = new Map<string, number>()

  const work = (order: string): Reaction => {
    counted.charges++
    charged.set(order, (charged.get(order) ?? 0) + 1)
    return { status: 201, body: { receipt: `r-${counted.charges}` } }
  }

  return upstream(({ body, headers, method, path }): Reaction => {
    if (method === "GET") {
      return { body: { charges: charged.get(path.slice("/charges/".length)) ?? 0 } }
    }
    const first = ++counted.requests === 1
    if (first && loss === "before the work") {
      return "reset"
    }
    const key = headers["idempotency-key"]
    const { order } = JSON.parse(body) as { readonly order: string }
    if (typeof key !== "string") {
      const answer = work(order)
      return first ? "reset" : answer
    }
    counted.keys.add(key)
    const answer = answered.get(key) ?? work(order)
    answered.set(key, answer)
    return first ? "reset" : answer
  }).pipe(Effect.map((url) => ({ url, counted })))
}
