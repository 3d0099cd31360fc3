/**
 * The codes of the errors by which `UndiciDispatcher` ends a request itself.
 */

/** No connection was free in time. */
export const poolTimeoutCode = "HOLDFAST_POOL_TIMEOUT"

/** undici cannot send the request. */
export const invalidRequestCode = "HOLDFAST_INVALID_REQUEST"
