/**
 * Tells who a request comes from when proxies stand in between, without believing what the client wrote.
 *
 * Every proxy adds the address of its own peer at the **end** of `X-Forwarded-For`; everything before the entries of your own proxies
 * was written by the client and may be anything. So the entries are counted from the right, by the number of proxies that are yours.
 *
 * @since 0.1.0
 */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { watchDeparture } from "./internal/departure.js"
import { OptionsCheck } from "./internal/serverOptions.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * How many proxies of yours every request passes before this server, a load balancer included. Default 0: the header is not read,
   * and the peer of the socket is the client.
   */
  readonly trustedProxies?: number | undefined
  /** The header in which the proxies write their peers, comma-separated. Default `x-forwarded-for`. */
  readonly header?: string | undefined
}

const octet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
const ipv4Form = new RegExp(`^${octet}(?:\\.${octet}){3}$`)

/** The eight groups of an IPv6 address, or nothing for what is none. */
const groupsOf = (text: string): ReadonlyArray<number> | undefined => {
  const halves = text.split("::")
  if (halves.length > 2 || text.length > 45) {
    return undefined
  }
  const groups: Array<Array<number>> = []
  for (const [index, half] of halves.entries()) {
    const read: Array<number> = []
    const parts = half === "" ? [] : half.split(":")
    for (const [place, part] of parts.entries()) {
      if (/^[0-9a-f]{1,4}$/i.test(part)) {
        read.push(parseInt(part, 16))
      } else if (index === halves.length - 1 && place === parts.length - 1 && ipv4Form.test(part)) {
        const [a, b, c, d] = part.split(".").map(Number) as [number, number, number, number]
        read.push(a * 256 + b, c * 256 + d)
      } else {
        return undefined
      }
    }
    groups.push(read)
  }
  const [head, tail] = groups as [Array<number>, Array<number> | undefined]
  if (tail === undefined) {
    return head.length === 8 ? head : undefined
  }
  const missing = 8 - head.length - tail.length
  return missing < 1 ? undefined : [...head, ...new Array<number>(missing).fill(0), ...tail]
}

/** The longest run of zeros becomes `::`, the first of several (RFC 5952). */
const compress = (groups: ReadonlyArray<number>): string => {
  let start = -1
  let length = 1
  for (let from = 0; from < groups.length; from++) {
    let to = from
    while (to < groups.length && groups[to] === 0) {
      to++
    }
    if (to - from > length) {
      start = from
      length = to - from
    }
  }
  const text = (some: ReadonlyArray<number>) => some.map((group) => group.toString(16)).join(":")
  return start < 0 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`
}

const isMappedIpv4 = (groups: ReadonlyArray<number>): boolean =>
  groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)

/** A copy: a piece of a string keeps the whole header in memory for as long as somebody remembers it. */
const copyOf = (text: string): string => (" " + text).slice(1)

/**
 * An IP address in its one canonical form: without port, brackets and zone, IPv6 compressed and in lower case, IPv4 inside IPv6 as IPv4.
 * `None` for anything that is no IP address.
 *
 * @example
 * ```ts
 * import * as ClientAddress from "@holdfast/http/ClientAddress"
 *
 * console.log(ClientAddress.parse("[2001:DB8:0:0::1]:443")) // Option.some("2001:db8::1")
 * console.log(ClientAddress.parse("unknown")) // Option.none()
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const parse = (text: string): Option.Option<string> => {
  const trimmed = text.trim()
  const bracketed = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(trimmed)?.[1]
  const bare = bracketed ?? (/^[\d.]+:\d{1,5}$/.test(trimmed) ? trimmed.slice(0, trimmed.indexOf(":")) : trimmed)
  if (bracketed === undefined && ipv4Form.test(bare)) {
    return Option.some(copyOf(bare))
  }
  const groups = groupsOf(bare.split("%", 1)[0]!)
  if (groups === undefined) {
    return Option.none()
  }
  return Option.some(
    isMappedIpv4(groups)
      ? [groups[6]! >> 8, groups[6]! & 255, groups[7]! >> 8, groups[7]! & 255].join(".")
      : compress(groups)
  )
}

/**
 * What one customer can hold of addresses: an IPv4 address by itself, of an IPv6 address the first 64 bits, since whoever has one has
 * 2^64 of them. `None` for anything that is no IP address.
 *
 * @example
 * ```ts
 * import * as ClientAddress from "@holdfast/http/ClientAddress"
 *
 * console.log(ClientAddress.network("2001:db8:1:2:3:4:5:6")) // Option.some("2001:db8:1:2::/64")
 * console.log(ClientAddress.network("192.0.2.7")) // Option.some("192.0.2.7")
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const network = (address: string): Option.Option<string> =>
  Option.map(parse(address), (canonical) => {
    const groups = groupsOf(canonical)
    return groups === undefined ? canonical : `${compress([...groups.slice(0, 4), 0, 0, 0, 0])}/64`
  })

const fields = ["trustedProxies", "header"]

/** @internal */
export const checkOptions = (owner: string, options: Options): void => {
  const check = new OptionsCheck(owner)
  check.record(options, fields)
  check.optional(options.trustedProxies, (value) => check.whole("trustedProxies", value, 0, 100))
  check.optional(options.header, (value) => check.headerName("header", value))
  check.done()
}

/**
 * A function that reads the client's address from a request, in canonical form.
 *
 * With `trustedProxies: 2` the peer of the socket is the first proxy, the last entry of the header the second, and the entry before it
 * the client. Where the header is too short, the request did not come the way it should: the peer of the socket is the answer, so a
 * client that slips past a proxy shares a key with others and never chooses its own. An entry that is no IP address ends the walk at
 * the hop before it. `None` when not even the peer is known.
 *
 * @example
 * ```ts
 * import * as ClientAddress from "@holdfast/http/ClientAddress"
 * import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
 * import * as Effect from "effect/Effect"
 *
 * const clientOf = ClientAddress.make({ trustedProxies: 1 })
 *
 * const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => Effect.log(clientOf(request)))
 *
 * console.log(Effect.isEffect(handler))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): (request: HttpServerRequest.HttpServerRequest) => Option.Option<string> => {
  checkOptions("ClientAddress.make", options)
  const trusted = options.trustedProxies ?? 0
  const header = (options.header ?? "x-forwarded-for").toLowerCase()
  return (request) => {
    const peer = Option.flatMap(request.remoteAddress, parse)
    const written = trusted > 0 && Object.hasOwn(request.headers, header) ? request.headers[header] : undefined
    if (written === undefined) {
      return peer
    }
    const entries = written.split(",")
    if (entries.length < trusted) {
      return peer
    }
    let nearest = peer
    for (let hop = 1; hop <= trusted; hop++) {
      const entry = parse(entries[entries.length - hop]!)
      if (Option.isNone(entry)) {
        return nearest
      }
      nearest = entry
    }
    return nearest
  }
}

/**
 * Middleware that puts the client's address in the place of `request.remoteAddress`. Use it instead of
 * `HttpMiddleware.xForwardedHeaders`, which believes the first entry, and with it the client.
 *
 * @example
 * ```ts
 * import * as ClientAddress from "@holdfast/http/ClientAddress"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 *
 * const app = ClientAddress.middleware({ trustedProxies: 1 })(HttpServerResponse.text("hello"))
 *
 * console.log(typeof app)
 * ```
 *
 * @since 0.1.0
 * @category middleware
 */
export const middleware = (options: Options = {}): <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R> => {
  const clientOf = make(options)
  return (app) =>
    Effect.updateService(app, HttpServerRequest.HttpServerRequest, (request) => {
      watchDeparture(request)
      const address = clientOf(request)
      return Option.isSome(address) ? request.modify({ remoteAddress: address.value }) : request
    })
}
