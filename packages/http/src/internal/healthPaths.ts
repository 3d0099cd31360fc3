/**
 * Tells health checks from other requests by their path.
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

const paths = ["/health", "/health/dependencies"]

/** `GET` and `HEAD` of exactly these two: a request that only looks like one would pass by every limit. */
export const isHealthCheck = (request: HttpServerRequest.HttpServerRequest): boolean =>
  (request.method === "GET" || request.method === "HEAD") && paths.includes(pathOf(request))
