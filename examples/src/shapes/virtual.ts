/**
 * The dependency without sockets: the same shapes as effects, for virtual time.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { behaviourAt, type CallFailed, connectionFailed, failureOf, type Shape, type Story } from "./dependency.js"

const coded = (code: string) => Object.assign(new Error(code), { code })

export const virtualCall = (shape: Shape, plan: Story): Effect.Effect<Effect.Effect<string, CallFailed>> =>
  Effect.map(
    Clock.currentTimeMillis,
    (start) =>
      Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<string, CallFailed> => {
        const behaviour = behaviourAt(shape, now - start, plan)
        switch (behaviour._tag) {
          case "Answer":
            return Effect.delay(Effect.succeed("answer"), behaviour.afterMillis)
          case "Hang":
            return Effect.never
          case "Refuse":
            return Effect.fail(connectionFailed(coded("ECONNREFUSED")))
          case "Reset":
            return Effect.delay(Effect.fail(connectionFailed(coded("ECONNRESET"))), behaviour.afterMillis)
          case "Status":
            return Effect.fail(failureOf(behaviour.status, behaviour.retryAfterSeconds))
          case "SlowBody":
            return Effect.delay(Effect.succeed("answer"), behaviour.bodyMillis)
        }
      })
  )
