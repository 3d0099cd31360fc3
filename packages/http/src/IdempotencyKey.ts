/**
 * Tells which requests may be sent twice, and makes those that may not repeatable by a key that names the call.
 *
 * @since 0.1.0
 */
import type * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Effect from "effect/Effect"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Default `idempotency-key`. */
  readonly header?: string | undefined
  /**
   * `quoted` (default) is the form of the IETF draft, `"8e03978e"`; `bare` is what older interfaces such as Stripe's document. Both carry
   * the key as `encode` makes it.
   */
  readonly form?: "quoted" | "bare" | undefined
  /**
   * Makes the key of a call, once. Default a random UUID. Any text will do: `encode` says how it is sent, and which keys are a defect
   * `InvalidOptions`.
   */
  readonly create?: ((request: HttpClientRequest.HttpClientRequest) => Effect.Effect<string>) | undefined
  /** Methods that get a key. Default POST and PATCH: the others may be repeated without one. */
  readonly methods?: ReadonlyArray<string> | undefined
  /**
   * Try a 409 again: by the draft it says that the first attempt is still being worked on. Default `false`, since many interfaces
   * answer 409 to a conflict that will not go away.
   */
  readonly retryConflict?: boolean | undefined
}

/**
 * The header that carries the key when no other is named.
 *
 * @since 0.1.0
 * @category constructors
 */
export const defaultHeader = "idempotency-key"

const repeatableMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])

/**
 * May a request of this method be sent twice by its definition (RFC 9110, 9.2.2)?
 *
 * @example
 * import * as IdempotencyKey from "@holdfast/http/IdempotencyKey"
 *
 * console.log(IdempotencyKey.isRepeatable("PUT")) // true
 * console.log(IdempotencyKey.isRepeatable("POST")) // false
 *
 * @since 0.1.0
 * @category guards
 */
export const isRepeatable = (method: string): boolean => repeatableMethods.has(method)

/**
 * Does the request carry a key?
 *
 * @since 0.1.0
 * @category guards
 */
export const isPresent = (request: HttpClientRequest.HttpClientRequest, header: string = defaultHeader): boolean => {
  const name = header.toLowerCase()
  return Object.hasOwn(request.headers, name) && (request.headers[name] ?? "").trim() !== ""
}

/**
 * Begins every key that is sent percent-encoded, as in RFC 8187: `UTF-8''`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const encodedMarker = "UTF-8''"

/** What servers accept: Stripe's bound. */
const longestKey = 255

const refused = (key: unknown, allowed: string): InvalidOptions =>
  new InvalidOptions({ owner: "IdempotencyKey", findings: [{ field: "key", value: key, allowed }] })

/** `encodeURIComponent` leaves these alone, which RFC 8187 encodes. */
const percent = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`

/**
 * The text that is sent for a key. Printable ASCII is sent as it is. A key with any other character, and one that begins with
 * `encodedMarker`, is sent as the marker and its UTF-8 bytes, percent-encoded. So two keys never become one, and `decode` gives the key
 * back. Throws `InvalidOptions` for a key of more than 255 bytes after encoding, and for one with half of a surrogate pair.
 *
 * @example
 * import * as IdempotencyKey from "@holdfast/http/IdempotencyKey"
 *
 * console.log(IdempotencyKey.encode("order-7")) // order-7
 * console.log(IdempotencyKey.encode("Müller/7")) // UTF-8''M%C3%BCller%2F7
 * console.log(IdempotencyKey.decode("UTF-8''M%C3%BCller%2F7")) // Müller/7
 *
 * @since 0.1.0
 * @category encoding
 */
export const encode = (key: string): string => encodeUnless(key, /^[\x20-\x7e]*$/)

const encodeUnless = (key: string, plain: RegExp): string => {
  if (typeof key !== "string") {
    throw refused(key, "a text")
  }
  if (/\p{Surrogate}/u.test(key)) {
    throw refused(key, "a text without half of a surrogate pair")
  }
  const sent = plain.test(key) && !key.startsWith(encodedMarker)
    ? key
    : encodedMarker + encodeURIComponent(key).replace(/['()*]/g, percent)
  if (sent.length > longestKey) {
    throw refused(key, `a text of at most ${longestKey} bytes, as it is sent; this one has ${sent.length}`)
  }
  return sent
}

/**
 * The key of a text that `encode` made.
 *
 * @since 0.1.0
 * @category encoding
 */
export const decode = (sent: string): string =>
  sent.startsWith(encodedMarker) ? decodeURIComponent(sent.slice(encodedMarker.length)) : sent

/**
 * A key in the quoted form: the key as `encode` makes it, with what a quoted string must escape.
 *
 * @since 0.1.0
 * @category encoding
 */
export const quoted = (key: string): string => `"${encode(key).replace(/(["\\])/g, "\\$1")}"`

/**
 * A key in the bare form: the key as `encode` makes it. A header has no spaces at its ends and is not empty, so such a key is
 * percent-encoded too.
 *
 * @since 0.1.0
 * @category encoding
 */
export const bare = (key: string): string => encodeUnless(key, /^(?! )[\x20-\x7e]+(?<! )$/)

// Not from the `Random` service: its seed has 32 bits, and two processes with one seed would send each other's keys.
const randomKey = Effect.sync(() => globalThis.crypto.randomUUID() as string)

/**
 * Puts a key on the request, unless it carries one or needs none.
 *
 * @example
 * import * as IdempotencyKey from "@holdfast/http/IdempotencyKey"
 * import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
 * import * as Effect from "effect/Effect"
 *
 * const request = IdempotencyKey.ensure(HttpClientRequest.post("https://payments.example/charges"), { form: "bare" })
 *
 * Effect.runPromise(request).then((request) => console.log(request.headers["idempotency-key"]))
 *
 * @since 0.1.0
 * @category combinators
 */
export const ensure = (
  request: HttpClientRequest.HttpClientRequest,
  options: Options = {}
): Effect.Effect<HttpClientRequest.HttpClientRequest> => {
  const header = options.header ?? defaultHeader
  const wanted = options.methods === undefined
    ? !isRepeatable(request.method)
    : options.methods.includes(request.method)
  return !wanted || isPresent(request, header)
    ? Effect.succeed(request)
    : Effect.map(
      options.create === undefined ? randomKey : options.create(request),
      (key) => {
        if (key === "") {
          // It would be the same key for all requests of which `create` knows nothing.
          throw refused(key, "a text that is not empty, or no idempotency key for this request")
        }
        return HttpClientRequest.setHeader(request, header, options.form === "bare" ? bare(key) : quoted(key))
      }
    )
}

/**
 * Can the body be sent again as it is? Bytes, texts and forms can; a stream may have been read when the second attempt wants it, and
 * would then be sent empty or cut off.
 *
 * @since 0.1.0
 * @category guards
 */
export const isReplayable = (body: HttpBody.HttpBody): boolean => {
  switch (body._tag) {
    case "Empty":
    case "Uint8Array":
    case "FormData":
      return true
    case "Raw":
      return typeof body.body === "string" || ArrayBuffer.isView(body.body) || body.body instanceof ArrayBuffer ||
        body.body instanceof URLSearchParams || body.body instanceof FormData || body.body instanceof Blob
    default:
      return false
  }
}
