/**
 * What can be wrong with a stack of timeouts, and with the probes beside it. Times in milliseconds.
 */
import type { Found, Severity } from "./lintRules.js"
import { time } from "./worstCase.js"

interface Finding extends Found {
  readonly rule: string
  readonly severity: Severity
}

/** @internal */
export const layerNames = ["cdn", "loadBalancer", "proxy", "app", "database"] as const

/** An outer layer may outlast the inner one by as much as the inner one lasts, and by this in any case. */
const slack = 5000

/** The layers that only hand a request on. An application does more than to ask its database once. */
const handsOn = (layer: (typeof layerNames)[number]): boolean => layer !== "app" && layer !== "database"

/** @internal */
export interface Layer {
  readonly name: (typeof layerNames)[number]
  readonly millis: number
}

/** @internal */
export const betweenLayers = (outer: Layer, inner: Layer): ReadonlyArray<Finding> => {
  if (outer.millis < inner.millis) {
    return [{
      rule: "outer-timeout-shorter",
      severity: "error",
      at: outer.name,
      because: `${outer.name} gives up after ${time(outer.millis)} and cuts off what ${inner.name} works on for ${
        time(inner.millis)
      }`,
      instead: `${outer.name} a little above ${time(inner.millis)}, or ${inner.name} a little below ${
        time(outer.millis)
      }`
    }]
  }
  const longest = inner.millis + Math.max(inner.millis, slack)
  return !handsOn(outer.name) || inner.name === "database" || outer.millis <= longest ? [] : [{
    rule: "outer-timeout-much-longer",
    severity: "warning",
    at: outer.name,
    because: `${outer.name} waits ${time(outer.millis)} and ${inner.name} gives up after ${time(inner.millis)}: ` +
      `when ${inner.name} does not answer, ${outer.name} holds the connection ${
        time(outer.millis - inner.millis)
      } longer`,
    instead: `${outer.name} a little above ${time(inner.millis)}, ${time(longest)} at most`
  }]
}

/** @internal */
export interface Probe {
  readonly name: string
  readonly timeout: number
  readonly period: number
  readonly failureThreshold: number | undefined
}

const wrong = (probe: Probe, rule: string, because: string): ReadonlyArray<Finding> => [{
  rule,
  severity: "error",
  at: probe.name,
  because,
  instead: `a probe timeout below ${time(probe.period)}`
}]

/** @internal */
export const ofProbe = (probe: Probe): ReadonlyArray<Finding> => {
  const { failureThreshold: threshold, period, timeout } = probe
  if (threshold !== undefined && timeout >= period * threshold) {
    return wrong(
      probe,
      "probe-slower-than-its-verdict",
      `a probe may take ${time(timeout)}, and ${threshold} x ${time(period)} = ${time(period * threshold)} decide: ` +
        `the instance should be out before the first probe is over`
    )
  }
  return timeout < period ? [] : wrong(
    probe,
    "probe-timeout-not-shorter-than-period",
    `a probe may take ${time(timeout)}, and the next one comes every ${time(period)}: they overlap`
  )
}
