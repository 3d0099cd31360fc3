/**
 * Agents of undici that survive a request which undici refuses. Its pool takes such a refusal for a connection that is busy, and waits
 * for it to become free, which never happens: as many refusals as there are connections, and every later request to the origin waits for ever.
 */
import * as Undici from "@effect/platform-node/Undici"
import { invalidRequestCode } from "./codes.js"
import { headerFault, methodFault } from "./requestFault.js"
import { isToken } from "./token.js"

/**
 * A connection that says it is free after a refusal: what was refused was not queued.
 */
class SturdyClient extends Undici.Client {
  override dispatch(options: Undici.Dispatcher.DispatchOptions, handler: Undici.Dispatcher.DispatchHandler): boolean {
    const before = this.queued
    return super.dispatch(options, handler) || this.queued <= before && !this.closed && !this.destroyed
  }

  private get queued(): number {
    return (this as unknown as { readonly stats: { readonly size: number } }).stats.size
  }
}

const client = (origin: string | URL, options: object): Undici.Client => new SturdyClient(origin, options)

/**
 * Takes the place of undici's own factory, which pools the connections of one origin.
 *
 * @internal
 */
export const sturdyFactory = (origin: string | URL, options: object): Undici.Dispatcher =>
  (options as Undici.Pool.Options).connections === 1
    ? client(origin, options)
    : new Undici.Pool(origin, { ...options, factory: client })

class InvalidRequest extends Error {
  readonly code = invalidRequestCode
  readonly neverSent = true
}

/** What undici writes or decides by itself, and takes from no request. */
const ownHeaders: ReadonlySet<string> = new Set(["transfer-encoding", "keep-alive", "upgrade", "expect"])

const valueFault = (name: string, value: string): string | undefined => {
  const lower = name.toLowerCase()
  if (ownHeaders.has(lower)) {
    return `the header ${name} cannot be sent by undici`
  }
  return lower === "connection" && !value.split(",").every((one) => isToken(one.trim()))
    ? `the header connection is ${JSON.stringify(value)}; allowed are tokens between commas`
    : headerFault(name, value)
}

/**
 * Why undici would refuse a request, `undefined` when it takes it. It sees what clients of `@effect/platform` send: headers in a record
 * of texts. What is given in another form is left to undici.
 *
 * @internal
 */
export const refusalOf = (request: Undici.Dispatcher.DispatchOptions): InvalidRequest | undefined => {
  const fault = methodFault(request.method) ?? headersFault(request.headers)
  return fault === undefined ? undefined : new InvalidRequest(fault)
}

const headersFault = (headers: Undici.Dispatcher.DispatchOptions["headers"]): string | undefined => {
  if (headers === null || headers === undefined || Symbol.iterator in headers) {
    return undefined
  }
  const record = headers as { readonly [name: string]: unknown }
  for (const name in record) {
    const value = record[name]
    const fault = typeof value === "string" ? valueFault(name, value) : undefined
    if (fault !== undefined) {
      return fault
    }
  }
  return undefined
}
