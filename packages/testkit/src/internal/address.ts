/**
 * Addresses as Toxiproxy writes them: `127.0.0.1:6379`, `[::1]:6379`, `redis:6379`.
 */

/** @internal */
export interface Address {
  readonly host: string
  readonly port: number
}

/** @internal */
export const format = ({ host, port }: Address): string => host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

/**
 * An empty host, as in `:6379`, means every interface. `undefined` if the text is no address.
 *
 * @internal
 */
export const parse = (text: string): Address | undefined => {
  if (typeof text !== "string") return undefined
  const found = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  if (found === null) return undefined
  const port = Number(found[3])
  return port > 65_535 ? undefined : { host: found[1] ?? found[2] ?? "", port }
}
