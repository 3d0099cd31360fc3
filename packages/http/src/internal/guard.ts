/**
 * What the client at the bottom may know of the policies above it: the audit reads it.
 */
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
