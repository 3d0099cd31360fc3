/**
 * The requests that no middleware limits, refuses or counts: a server has to be watched when it admits nothing else.
 *
 * @since 0.1.0
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"

/** As it was sent, whatever prefix a router has cut off, and neither decoded nor resolved: `/health/../orders` is no health check. */
const pathOf = (request: HttpServerRequest.HttpServerRequest): string => {
  const url = request.originalUrl
  // An absolute form (`GET http://host/path`) is allowed in HTTP, and is what a web handler gives.
  const from = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("://") + 3)
  const end = url.indexOf("?")
  return from < 0 ? "/" : url.slice(from, end < 0 ? undefined : end)
}

const paths = ["/health", "/health/dependencies", "/metrics"]

type Exempt = (request: HttpServerRequest.HttpServerRequest) => boolean

/** `GET` and `HEAD` of exactly these three: a request that only looks like one would pass by every limit. */
const isWatching: Exempt = (request) =>
  (request.method === "GET" || request.method === "HEAD") && paths.includes(pathOf(request))

/**
 * What is exempt always, and what the option `exempt` of a middleware adds to it.
 *
 * @internal
 */
export const exemption = (exempt: Exempt | undefined): Exempt =>
  exempt === undefined ? isWatching : (request) => isWatching(request) || exempt(request)
