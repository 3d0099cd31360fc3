/**
 * What the client at the bottom may know of the policies above it: the audit reads it.
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"

/** @internal */
export interface Guard {
  readonly policy: boolean
  readonly timeout: boolean
}

/** @internal */
export const unguarded: Guard = { policy: false, timeout: false }

/** @internal */
export const current: FiberRef.FiberRef<Guard> = globalValue(
  Symbol.for("@holdfast/http/guard"),
  () => FiberRef.unsafeMake<Guard>(unguarded)
)

const audits = globalValue(Symbol.for("@holdfast/http/audits"), () => ({ any: false }))

/**
 * An audit is there: from now on calls say what is around them. Until then a call is spared the change of its fiber's references.
 *
 * @internal
 */
export const watch = (): void => {
  audits.any = true
}

/** @internal */
export const within = <A, E, R>(effect: Effect.Effect<A, E, R>, guard: Guard): Effect.Effect<A, E, R> =>
  audits.any ? Effect.locally(effect, current, guard) : effect
