/**
 * The HTTP API of Toxiproxy 2 over fault proxies, so that its clients, in whatever language, can move them.
 *
 * It needs `@effect/platform`, and `serve` needs `@effect/platform-node`. It trusts whoever can reach it: bind it to the loopback.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpRouter from "@effect/platform/HttpRouter"
import type * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as FaultProxies from "./FaultProxies.js"
import type * as FaultProxy from "./FaultProxy.js"
import * as Address from "./internal/address.js"
import { shown as written } from "./internal/shown.js"
import * as Toxic from "./Toxic.js"

/**
 * What `GET /version` says: the version of Toxiproxy that is spoken, and by whom.
 *
 * @example
 * import * as ToxiproxyApi from "@holdfast/testkit/ToxiproxyApi"
 *
 * console.log(ToxiproxyApi.version) // "2.12.0+holdfast"
 *
 * @since 0.1.0
 * @category constructors
 */
export const version = "2.12.0+holdfast"

class Refused {
  readonly _tag = "Refused"
  readonly status: number
  readonly because: string
  constructor(status: number, because: string) {
    this.status = status
    this.because = because
  }
}

const badBody = (because: string) => new Refused(400, `bad request body: ${because}`)

const answer = (status: number, body: unknown) => HttpServerResponse.unsafeJson(body, { status })

const nothing = HttpServerResponse.empty({ status: 204 })

type Failure =
  | Refused
  | FaultProxies.ProxyExists
  | FaultProxies.ProxyNotFound
  | FaultProxy.InvalidAddress
  | FaultProxy.ListenFailed
  | FaultProxy.ToxicExists
  | FaultProxy.ToxicNotFound
  | Toxic.InvalidToxic

const refusal = (failure: Failure): Refused => {
  switch (failure._tag) {
    case "Refused":
      return failure
    case "InvalidAddress":
      return new Refused(400, failure.message)
    case "InvalidToxic": {
      const field = failure.findings[0]?.field
      const kind = field === "type"
        ? "invalid toxic type"
        : field === "stream"
        ? "stream was invalid, can be either upstream or downstream"
        : "bad request body"
      return new Refused(400, `${kind}: ${failure.message}`)
    }
    case "ProxyNotFound":
      return new Refused(404, "proxy not found")
    case "ToxicNotFound":
      return new Refused(404, "toxic not found")
    case "ProxyExists":
      return new Refused(409, "proxy already exists")
    case "ToxicExists":
      return new Refused(409, "toxic already exists")
    case "ListenFailed":
      return new Refused(500, failure.message)
  }
}

const refuse = (failure: Failure) => {
  const { because, status } = refusal(failure)
  return answer(status, { error: because, status })
}

const shown = (proxy: FaultProxy.FaultProxy) => ({
  name: proxy.name,
  listen: proxy.address(),
  upstream: proxy.upstream(),
  enabled: proxy.enabled(),
  toxics: proxy.toxics()
})

const field = <A>(schema: Schema.Schema<A>) => Schema.optionalWith(schema, { exact: true })

const Proxy = Schema.Struct({
  name: field(Schema.String),
  listen: field(Schema.String),
  upstream: field(Schema.String),
  enabled: field(Schema.NullOr(Schema.Boolean))
})

const Changes = Schema.Struct({
  toxicity: field(Schema.Number),
  attributes: field(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
})

const json = HttpServerRequest.HttpServerRequest.pipe(
  Effect.flatMap((request) => request.text),
  Effect.mapError((error) => badBody(error.message)),
  Effect.flatMap((text) =>
    Effect.try({ try: (): unknown => JSON.parse(text), catch: (error) => badBody((error as Error).message) })
  )
)

const body = <A, I>(schema: Schema.Schema<A, I>) =>
  Effect.flatMap(json, (input) =>
    Either.mapLeft(
      Schema.decodeUnknownEither(schema)(input),
      (error) =>
        badBody(
          ParseResult.ArrayFormatter.formatErrorSync(error).map(({ message, path }) =>
            `${path.join(".")} ${message}`.trim()
          ).join("; ")
        )
    ))

const named = (input: typeof Proxy.Type, where = "") =>
  Effect.gen(function*() {
    for (const field of ["name", "upstream"] as const) {
      if ((input[field] ?? "") === "") {
        return yield* Effect.fail(new Refused(400, `missing required field: ${field}${where}`))
      }
    }
    const options: FaultProxies.Named = {
      name: input.name!,
      upstream: input.upstream!,
      ...((input.listen ?? "") === "" ? {} : { listen: input.listen }),
      enabled: input.enabled ?? true
    }
    return options
  })

const parameter = (name: "proxy" | "toxic") => Effect.map(HttpRouter.params, (params) => params[name] ?? "")

/**
 * The routes, to serve them yourself or beside others. A browser is refused, as Toxiproxy does.
 *
 * @example
 * import * as FaultProxies from "@holdfast/testkit/FaultProxies"
 * import * as ToxiproxyApi from "@holdfast/testkit/ToxiproxyApi"
 * import * as Effect from "effect/Effect"
 *
 * const app = Effect.map(FaultProxies.make(), ToxiproxyApi.router)
 *
 * console.log(Effect.isEffect(app)) // true
 *
 * @since 0.1.0
 * @category constructors
 */
export const router = (proxies: FaultProxies.FaultProxies): HttpRouter.HttpRouter => {
  const proxy = Effect.flatMap(parameter("proxy"), proxies.get)
  const withProxy = Effect.map(proxy, (found) => answer(200, shown(found)))

  const toxic = Effect.gen(function*() {
    const found = yield* proxy
    const name = yield* parameter("toxic")
    const toxic = found.toxics().find((each) => each.name === name)
    return toxic ?? (yield* Effect.fail(new Refused(404, "toxic not found")))
  })

  const update = Effect.gen(function*() {
    const found = yield* proxy
    const { enabled, listen, upstream } = yield* body(Proxy)
    const to = {
      ...((listen ?? found.address()) === found.address() ? {} : { listen }),
      ...((upstream ?? found.upstream()) === found.upstream() ? {} : { upstream })
    }
    if (Object.keys(to).length > 0) yield* found.move(to)
    const up = enabled ?? found.enabled()
    if (up !== found.enabled()) yield* up ? found.enable : found.disable
    return answer(200, shown(found))
  })

  const updateToxic = Effect.gen(function*() {
    const found = yield* proxy
    const { name } = yield* toxic
    return answer(200, yield* found.change(name, yield* body(Changes)))
  })

  const populate = Effect.gen(function*() {
    const input = yield* body(Schema.Array(Proxy))
    const list = yield* Effect.forEach(input, (each, index) => named(each, ` at proxy ${index + 1}`))
    const made = yield* Effect.either(proxies.populate(list))
    if (Either.isRight(made)) return answer(201, { proxies: made.right.map(shown) })
    const { because, status } = refusal(made.left.cause)
    return answer(status, { error: because, status, proxies: made.left.made.map(shown) })
  })

  return HttpRouter.empty.pipe(
    HttpRouter.get("/version", Effect.succeed(answer(200, { version }))),
    HttpRouter.post("/reset", Effect.as(proxies.reset, nothing)),
    HttpRouter.post("/populate", populate),
    HttpRouter.get(
      "/proxies",
      Effect.sync(() =>
        answer(200, Object.fromEntries(Array.from(proxies.all(), ([name, each]) => [name, shown(each)])))
      )
    ),
    HttpRouter.post(
      "/proxies",
      Effect.map(Effect.flatMap(Effect.flatMap(body(Proxy), named), proxies.create), (made) => answer(201, shown(made)))
    ),
    HttpRouter.get("/proxies/:proxy", withProxy),
    HttpRouter.post("/proxies/:proxy", update),
    HttpRouter.patch("/proxies/:proxy", update),
    HttpRouter.del("/proxies/:proxy", Effect.as(Effect.flatMap(parameter("proxy"), proxies.remove), nothing)),
    HttpRouter.get("/proxies/:proxy/toxics", Effect.map(proxy, (found) => answer(200, found.toxics()))),
    HttpRouter.post(
      "/proxies/:proxy/toxics",
      Effect.gen(function*() {
        const found = yield* proxy
        const added = yield* Toxic.decode(yield* json)
        yield* found.add(added)
        return answer(200, added)
      })
    ),
    HttpRouter.get("/proxies/:proxy/toxics/:toxic", Effect.map(toxic, (found) => answer(200, found))),
    HttpRouter.post("/proxies/:proxy/toxics/:toxic", updateToxic),
    HttpRouter.patch("/proxies/:proxy/toxics/:toxic", updateToxic),
    HttpRouter.del(
      "/proxies/:proxy/toxics/:toxic",
      Effect.gen(function*() {
        const found = yield* proxy
        yield* found.remove(yield* parameter("toxic"))
        return nothing
      })
    ),
    HttpRouter.catchAll((failure) => Effect.succeed(refuse(failure))),
    // A page in a browser must not be able to move the proxies of the machine that it is shown on.
    HttpRouter.use((app) =>
      Effect.flatMap(
        HttpServerRequest.HttpServerRequest,
        (request) =>
          request.headers["user-agent"]?.startsWith("Mozilla/") === true
            ? Effect.succeed(HttpServerResponse.text("User agent not allowed", { status: 403 }))
            : app
      )
    )
  )
}

/**
 * Serves the API on Node, at Toxiproxy's port 8474 of the loopback unless told otherwise, with proxies of its own. Ends with the scope.
 *
 * @example
 * import * as ToxiproxyApi from "@holdfast/testkit/ToxiproxyApi"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const api = yield* ToxiproxyApi.serve({ listen: "127.0.0.1:0", seed: 7 })
 *   const redis = yield* api.proxies.create({ name: "redis", upstream: "127.0.0.1:6379" })
 *   // a client of Toxiproxy that is told this URL finds the proxy
 *   return `${api.url}/proxies/${redis.name}`
 * }).pipe(Effect.scoped)
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const serve = (options: {
  readonly listen?: string | undefined
  readonly seed?: number | undefined
} = {}): Effect.Effect<
  { readonly url: string; readonly proxies: FaultProxies.FaultProxies },
  HttpServerError.ServeError,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const listen = options.listen ?? "127.0.0.1:8474"
    const address = Address.parse(listen)
    if (address === undefined) {
      return yield* Effect.dieMessage(
        `listen is ${written(listen)}, allowed is host:port, such as 127.0.0.1:8474`
      )
    }
    const proxies = yield* FaultProxies.make({ seed: options.seed })
    const server = yield* NodeHttpServer.make(() => Http.createServer(), address)
    yield* server.serve(router(proxies))
    const found = server.address
    const url = found._tag === "TcpAddress"
      ? `http://${Address.format({ host: found.hostname, port: found.port })}`
      : found.path
    return { url, proxies }
  })
