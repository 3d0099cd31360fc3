/**
 * The states of a circuit breaker as dashboards and logs write them.
 */
import type { State } from "../CircuitBreakerMachine.js"
import type { CircuitChanged } from "../ResilienceEvent.js"

/** What a circuit breaker is in the middle of. */
export type CircuitState = "closed" | "open" | "half_open" | "isolated" | "disabled"

/** @internal */
export const ofState: Readonly<Record<State["_tag"], CircuitState>> = {
  Closed: "closed",
  Open: "open",
  HalfOpen: "half_open",
  Isolated: "isolated",
  Disabled: "disabled"
}

/**
 * The state that an event tells of.
 *
 * @internal
 */
export const ofChange: Readonly<Record<CircuitChanged["_tag"], CircuitState>> = {
  CircuitClosed: "closed",
  CircuitOpened: "open",
  CircuitHalfOpened: "half_open",
  CircuitIsolated: "isolated",
  CircuitDisabled: "disabled"
}
