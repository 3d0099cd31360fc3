/**
 * The codes of the errors that this package makes itself.
 */

/** No connection was free in time. */
export const poolTimeoutCode = "HOLDFAST_POOL_TIMEOUT"

/** undici cannot send the request. */
export const invalidRequestCode = "HOLDFAST_INVALID_REQUEST"

/** The server answered with a redirect that cannot be followed, or with one too many. */
export const redirectCode = "HOLDFAST_REDIRECT"

/** No answer came from where a server redirected to. The request before it was answered. */
export const hopCode = "HOLDFAST_REDIRECT_HOP"
