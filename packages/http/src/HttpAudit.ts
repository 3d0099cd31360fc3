/**
 * Finds the calls that nobody protects: counts, by authority, what a client sends without a policy or without a timeout.
 *
 * @since 0.1.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Deadline from "@holdfast/core/Deadline"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as guard from "./internal/guard.js"

/**
 * What was sent to one authority.
 *
 * @since 0.1.0
 * @category models
 */
export interface Finding {
  /** `https://api.example:8443`; `other` once there are too many of them, `unknown` for what is no URL. */
  readonly authority: string
  /** Requests sent, each attempt for itself. */
  readonly requests: number
  readonly withoutPolicy: number
  /** Neither a timeout in the policy nor a deadline. A timeout put around the call by hand cannot be seen from here. */
  readonly withoutTimeout: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Audit {
  /** Authorities with requests that lack something, the most unprotected first. */
  readonly findings: Effect.Effect<ReadonlyArray<Finding>>
  /** All authorities. */
  readonly all: Effect.Effect<ReadonlyArray<Finding>>
}

/**
 * The counts, read by tests, start-up checks and dashboards.
 *
 * @since 0.1.0
 * @category tags
 */
export class HttpAudit extends Context.Tag("@holdfast/http/HttpAudit")<HttpAudit, Audit>() {}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The most authorities that are told apart; the others are counted as `other`. Default 200. */
  readonly capacity?: number | undefined
  /** Log one warning for each authority at its first request that lacks something. Default `true`. */
  readonly warn?: boolean | undefined
}

interface Count {
  requests: number
  withoutPolicy: number
  withoutTimeout: number
}

const defaultCapacity = 200

const warningOf = (authority: string, lacksPolicy: boolean): Effect.Effect<void> =>
  Effect.logWarning(
    lacksPolicy
      ? `${authority} is called without a policy: put HttpResilience.withPolicy around the client`
      : `${authority} is called without a timeout: put a Timeout or a Deadline around the call`
  )

/**
 * A layer around the client of the context. Put it directly around the transport, so that it sees each request as it is sent.
 *
 * @example
 * import * as HttpAudit from "@holdfast/http/HttpAudit"
 * import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * const Client = HttpAudit.layer().pipe(Layer.provide(FetchHttpClient.layer))
 *
 * const program = Effect.gen(function*() {
 *   const audit = yield* HttpAudit.HttpAudit
 *   console.log(yield* audit.findings)
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(Client)))
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<HttpClient.HttpClient | HttpAudit, never, HttpClient.HttpClient> =>
  Layer.effectContext(Effect.map(HttpClient.HttpClient, (client) => {
    const { capacity = defaultCapacity, warn = true } = options
    const counts = new Map<string, Count>()
    guard.watch()

    const countOf = (authority: string): readonly [string, Count] => {
      const kept = counts.has(authority) || counts.size < capacity ? authority : "other"
      let count = counts.get(kept)
      if (count === undefined) {
        count = { requests: 0, withoutPolicy: 0, withoutTimeout: 0 }
        counts.set(kept, count)
      }
      return [kept, count]
    }

    const observe = (request: HttpClientRequest.HttpClientRequest): Effect.Effect<void> =>
      Effect.zipWith(FiberRef.get(guard.current), Deadline.remaining, ({ policy, timeout }, remaining) => {
        const [authority, count] = countOf(
          Option.match(HttpClientRequest.toUrl(request), { onNone: () => "unknown", onSome: (url) => url.origin })
        )
        const hasTimeout = timeout || Option.isSome(remaining)
        const first = count.withoutPolicy === 0 && count.withoutTimeout === 0
        count.requests++
        count.withoutPolicy += policy ? 0 : 1
        count.withoutTimeout += hasTimeout ? 0 : 1
        return warn && first && !(policy && hasTimeout) ? warningOf(authority, !policy) : Effect.void
      }).pipe(Effect.flatten)

    const all = Effect.sync(() => [...counts].map(([authority, count]): Finding => ({ authority, ...count })))
    const audit: Audit = {
      all,
      findings: Effect.map(all, (found) =>
        found
          .filter(({ withoutPolicy, withoutTimeout }) => withoutPolicy + withoutTimeout > 0)
          .sort((a, b) => b.withoutPolicy + b.withoutTimeout - a.withoutPolicy - a.withoutTimeout))
    }
    return Context.make(
      HttpClient.HttpClient,
      HttpClient.transform(client, (effect, request) => Effect.zipRight(observe(request), effect))
    ).pipe(Context.add(HttpAudit, audit))
  }))
