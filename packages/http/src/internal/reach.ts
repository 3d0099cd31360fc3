/**
 * How far an exchange came, by the codes in the causes of its error. Every transport hangs them in a place of its own.
 */
import type { Reach } from "../HttpFailure.js"
import { hopCode, invalidRequestCode, poolTimeoutCode, redirectCode } from "./codes.js"

const neverSent: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EAI_NODATA",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT",
  poolTimeoutCode
])

/** They prove something only while the connection is being opened: an open one can meet them in mid-request. */
const neverSentWhileConnecting: ReadonlySet<string> = new Set(["EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"])

const maybeSent: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ERR_STREAM_PREMATURE_CLOSE",
  "HPE_INVALID_EOF_STATE",
  "UND_ERR_SOCKET",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_INFO",
  "UND_ERR_ABORTED",
  hopCode
])

const tls: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_GET_CRL",
  "UNABLE_TO_DECRYPT_CERT_SIGNATURE",
  "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY",
  "HOSTNAME_MISMATCH",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
  "EPROTO"
])

/** Families of codes, for lists that grow with every version of Node. */
const badTls = /^(?:CERT_|CRL_|ERR_TLS_|ERR_SSL_)/

/** By which Node, undici and `UndiciDispatcher` refuse what they are given, before anything is sent. */
const refused =
  /^(?:ERR_INVALID_|ERR_HTTP_INVALID_|ERR_HTTP_TRAILER_INVALID|ERR_UNESCAPED_|UND_ERR_INVALID_ARG|UND_ERR_NOT_SUPPORTED)/

/** @internal */
export const isRefused = (code: string): boolean => code === invalidRequestCode || refused.test(code)

/**
 * Eight links are enough for every transport, and end a cyclic chain.
 *
 * @internal
 */
export const longestChain = 8

const reachOfCode = (code: string, syscall: unknown): Reach | undefined =>
  neverSent.has(code)
    ? "NeverSent"
    : neverSentWhileConnecting.has(code)
    ? (syscall === "connect" ? "NeverSent" : "MaybeSent")
    : maybeSent.has(code)
    ? "MaybeSent"
    : code === redirectCode
    ? "Answered"
    : tls.has(code) || badTls.test(code) || isRefused(code)
    ? "NotWorthRetrying"
    : undefined

/**
 * By the first code that we know in the chain of causes. When several addresses were tried, all must prove the same.
 *
 * @internal
 */
export const reachOfCauses = (error: unknown, depth = 0): Reach | undefined => {
  let current: any = error
  for (let link = depth; link < longestChain && typeof current === "object" && current !== null; link++) {
    if (Array.isArray(current.errors) && current.errors.length > 0) {
      const reaches = new Set(current.errors.map((one: unknown) => reachOfCauses(one, link + 1)))
      return reaches.size === 1 ? [...reaches][0] as Reach | undefined : "MaybeSent"
    }
    const reach = typeof current.code === "string" ? reachOfCode(current.code, current.syscall) : undefined
    if (reach !== undefined) {
      return reach
    }
    current = current.cause
  }
  return undefined
}
