/**
 * Reads from a request whose rate it uses, and how much of it. A function of the program may say what it should not, from a header for
 * instance, and the request must be limited all the same.
 *
 * @since 0.1.0
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ClientAddress from "../ClientAddress.js"
import type * as HttpRateLimit from "../HttpRateLimit.js"
import { ownKey, shownKey, unknownAddress } from "./rateLimitKeys.js"

type Request = HttpServerRequest.HttpServerRequest

/** @internal */
export const keyReader = (
  { key, trustedProxies }: Pick<HttpRateLimit.Options, "key" | "trustedProxies">
): (request: Request) => string => {
  const clientOf = ClientAddress.make({ trustedProxies })
  return (request) => {
    const own = key?.(request)
    return typeof own === "string"
      ? ownKey(own)
      : Option.getOrElse(Option.flatMap(clientOf(request), ClientAddress.network), () => unknownAddress)
  }
}

/** @internal */
export const isCost = (value: unknown): value is number => typeof value === "number" && value >= 0 && value < Infinity

/** @internal */
export const costReader = (
  { cost = 1 }: Pick<HttpRateLimit.Options, "cost">,
  name: string
): (request: Request) => Effect.Effect<number> => {
  if (typeof cost === "number") {
    const fixed = Effect.succeed(cost)
    return () => fixed
  }
  let warned = false
  return (request) => {
    const computed: unknown = cost(request)
    if (isCost(computed)) {
      return Effect.succeed(computed)
    }
    if (warned) {
      return Effect.succeed(1)
    }
    warned = true
    return Effect.logWarning(
      "The cost of a request is not a finite number of 0 or more, and counts as 1. This is told once"
    ).pipe(
      Effect.annotateLogs({ limit: name, cost: String(computed) }),
      Effect.as(1)
    )
  }
}

/**
 * How a key is shown. The log must not change the answer, and a key that could not be shown must not be shown as it is.
 *
 * @internal
 */
export const keyShower = ({ showKey }: Pick<HttpRateLimit.Options, "showKey">): (key: string) => string =>
  showKey === undefined ? shownKey : (key) => {
    try {
      return String(showKey(key))
    } catch {
      return "(showKey failed)"
    }
  }
