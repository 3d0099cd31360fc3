/**
 * One Redis, three dependencies: each with connections of its own, sized by how much it is needed.
 */
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as Layer from "effect/Layer"

export const sizes = { sessions: 30, cache: 15, analytics: 5 } as const

// A command takes a millisecond or none at all. Trying again is left out: while the client reconnects, another try finds the same.
const shared = {
  totalTimeout: false,
  attemptTimeout: "500 millis",
  retry: false,
  circuitBreaker: { tripPolicy: CircuitBreaker.lowTraffic, openDuration: "15 seconds" }
} as const

/** Critical: without a session nobody is who they are. */
export class Sessions extends Dependency.Service<Sessions>()("sessions", {
  ...shared,
  bulkhead: { maxConcurrent: sizes.sessions },
  lint: { pool: { size: sizes.sessions } }
}) {}

/** What is missing there can be made again. */
export class Cache extends Dependency.Service<Cache>()("cache", {
  ...shared,
  bulkhead: { maxConcurrent: sizes.cache },
  lint: { pool: { size: sizes.cache } }
}) {}

/** As well as it goes: what does not get through is dropped. Its commands may take longer. */
export class Analytics extends Dependency.Service<Analytics>()("analytics", {
  ...shared,
  attemptTimeout: "5 seconds",
  bulkhead: { maxConcurrent: sizes.analytics },
  lint: { pool: { size: sizes.analytics } }
}) {}

/** The numbers of the environment over those above. */
export const layer = Layer.mergeAll(Sessions.layerConfig(), Cache.layerConfig(), Analytics.layerConfig())
