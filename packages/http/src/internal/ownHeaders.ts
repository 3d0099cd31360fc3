/**
 * What a policy around a client tells the pieces inside it about the requests that it sends.
 */
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import { defaults } from "../HttpResilienceOptions.js"
import * as IdempotencyKey from "../IdempotencyKey.js"

/** @internal */
export interface Sending {
  /** Headers that are meant for the server that was called, and for no other. */
  readonly ownHeaders: ReadonlyArray<string>
  /** The one of them that tells how much time is left when the request is sent. */
  readonly deadlineHeader: string | false
  /** A stream given as the body can be run again from its beginning. */
  readonly replayableBody: boolean
}

/** @internal */
export const usual: Sending = {
  ownHeaders: [IdempotencyKey.defaultHeader, defaults.deadlineHeader, defaults.attemptHeader],
  deadlineHeader: defaults.deadlineHeader,
  replayableBody: false
}

/** @internal */
export const sending: FiberRef.FiberRef<Sending> = globalValue(
  "@holdfast/http/sending",
  () => FiberRef.unsafeMake(usual)
)
