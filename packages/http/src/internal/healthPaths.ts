/**
 * Tells health checks from other requests by their path.
 *
 * @since 0.1.0
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"

/** The path that was asked for, whatever prefix a router has cut off. */
export const pathOf = (request: HttpServerRequest.HttpServerRequest): string => {
  const url = request.originalUrl
  // An absolute form (`GET http://host/path`) is allowed in HTTP, and is what a web handler gives.
  const from = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("://") + 3)
  const end = url.search(/[?#]/)
  return from < 0 ? "/" : url.slice(from, end < 0 ? undefined : end)
}

/** `/health` and all below it. */
export const isHealthCheck = (request: HttpServerRequest.HttpServerRequest): boolean => {
  const path = pathOf(request)
  return path === "/health" || path.startsWith("/health/")
}
