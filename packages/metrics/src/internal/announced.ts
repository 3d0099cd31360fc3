/**
 * Counters that are there, at 0, before the first thing is counted in them: an increase from nothing to 1 is none for Prometheus, and
 * the first trip of a breaker would be missed.
 */
import { globalValue } from "effect/GlobalValue"
import { families, type Family } from "../MetricFamilies.js"
import type { Reading } from "../RegistryMetrics.js"
import { seriesOf } from "./series.js"

const counted = new Map<Family, ReadonlyArray<readonly [Family, ...labels: ReadonlyArray<string>]>>([
  [families.circuitState, [
    [families.circuitTrips],
    [families.circuitLateResults],
    ...["closed", "open", "half_open"].map((state) => [families.circuitTransitions, state] as const),
    ...["open", "probing"].map((reason) => [families.circuitRejected, reason] as const)
  ]],
  [families.bulkheadCapacity, [[families.bulkheadRejected]]],
  [families.limiterDecisions, [[families.limiterDecisions, "refused"]]]
])

const known = globalValue(Symbol.for("@holdfast/metrics/announced"), () => new Set<string>())

/** @internal */
export const announce = (readings: ReadonlyArray<Reading>): void => {
  for (const { family, labels } of readings) {
    const service = labels[0]!
    const id = `${family.metric} ${service}`
    if (counted.has(family) && !known.has(id)) {
      known.add(id)
      for (const [about, ...more] of counted.get(family)!) {
        seriesOf(about, service, ...more)
      }
    }
  }
}
