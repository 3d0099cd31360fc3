/**
 * Puts what a rate limit has decided on an answer.
 *
 * @since 0.1.0
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type { Decision } from "../HttpRateLimit.js"

const lists = ["ratelimit-policy", "ratelimit"]

/**
 * An answer with the headers of a decision: the structured fields list every limit, and `X-RateLimit-*` tells of the tightest.
 *
 * @internal
 */
export const withDecision = (
  response: HttpServerResponse.HttpServerResponse,
  decision: Decision
): HttpServerResponse.HttpServerResponse => {
  const present = response.headers["x-ratelimit-remaining"]
  const tighter = present === undefined || decision.remaining < Number(present)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(decision.headers)) {
    const before = response.headers[name]
    if (lists.includes(name)) {
      headers[name] = before === undefined ? value : `${before}, ${value}`
    } else if (name === "retry-after" ? before === undefined : tighter) {
      headers[name] = value
    }
  }
  return HttpServerResponse.setHeaders(response, headers)
}
