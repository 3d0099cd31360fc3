import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Alarm from "@holdfast/core/Alarm"
import * as ClientAddress from "@holdfast/http/ClientAddress"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpDeadline from "@holdfast/http/HttpDeadline"
import * as HttpDrain from "@holdfast/http/HttpDrain"
import * as HttpProblem from "@holdfast/http/HttpProblem"
import * as HttpRateLimit from "@holdfast/http/HttpRateLimit"
import { Clock, Deferred, Duration, Effect, Exit, Fiber, Layer, Logger, Option, Random, Scope } from "effect"
import * as fs from "node:fs"
import { Timeout } from "./support/core.js"
import * as Memory from "./support/memoryServer.js"

/** A middleware that stands around handlers. */
interface Served {
  /** Handlers that may run at once. */
  readonly limit?: number
  /** Requests beyond these are refused: the middleware must let so many in again in the end. */
  readonly held?: Effect.Effect<ReadonlyArray<number>>
  /** Must end in the end. */
  readonly end?: Effect.Effect<unknown>
}
type Serve = (memory: Memory.Memory, app: Memory.App) => Effect.Effect<Served, never, Scope.Scope>

/** Global layers around one route, as `HttpLayerRouter` serves them; `routed` is around the route alone. */
const layered = (
  { server }: Memory.Memory,
  app: Memory.App,
  global: Layer.Layer<never, any, any>,
  routed: unknown = Layer.empty
) =>
  Layer.build(
    HttpLayerRouter.serve(
      Layer.mergeAll(
        HttpLayerRouter.add("*", "*", app).pipe(Layer.provide(routed as Layer.Layer<never>)),
        global
      ) as any,
      { disableLogger: true, disableListenLog: true }
    ).pipe(Layer.provide(Layer.succeed(HttpServer.HttpServer, server))) as unknown as Layer.Layer<never>
  )

const around = (memory: Memory.Memory, app: Memory.App, middleware: unknown) =>
  Memory.places["around a router"]!(memory, app, middleware as Memory.Middleware)

const admission: HttpAdmission.Options = { maxConcurrent: 3, maxQueue: 2 }
const rate: HttpRateLimit.Options = { rate: 1e6, per: "1 second", maxWait: "1 hour" }
const limit = "1 hour"

const ofAdmission = ({ bulkhead }: HttpAdmission.HttpAdmission): Served => ({
  limit: admission.maxConcurrent,
  held: Effect.map(bulkhead.snapshot, ({ active, queued }) => [active, queued])
})
const ofDrain = (drain: HttpDrain.Drain): Served => ({
  held: Effect.map(drain.inFlight, (inFlight) => [inFlight]),
  end: Effect.map(drain.drain, (drained) => assert.deepStrictEqual(drained, { complete: true, cutOff: 0 }))
})

/** These answer, and stand around nothing. */
const routes = ["HttpDependencies.layerRouter", "HttpHealth.layerRouter"]

/** Every export that puts something around requests, and how it is served. */
const rows: Readonly<Record<string, Serve>> = {
  "ClientAddress.middleware": (memory, app) => Effect.as(around(memory, app, ClientAddress.middleware()), {}),
  "HttpAdmission.make": (memory, app) =>
    Effect.tap(
      Effect.map(HttpAdmission.make(admission), (made) => ({ ...ofAdmission(made), made })),
      ({ made }) => around(memory, app, made.middleware)
    ),
  "HttpAdmission.layerRouter": (memory, app) =>
    Effect.as(layered(memory, app, HttpAdmission.layerRouter(admission)), { limit: 3 }),
  "HttpAdmission.forRoutes": (memory, app) =>
    Effect.as(layered(memory, app, Layer.empty, HttpAdmission.forRoutes(admission).layer), { limit: 3 }),
  "HttpDeadline.middleware": (memory, app) => Effect.as(around(memory, app, HttpDeadline.middleware({ limit })), {}),
  "HttpDeadline.layerRouter": (memory, app) => Effect.as(layered(memory, app, HttpDeadline.layerRouter({ limit })), {}),
  "HttpDeadline.forRoutes": (memory, app) =>
    Effect.as(layered(memory, app, Layer.empty, HttpDeadline.forRoutes({ limit }).layer), {}),
  "HttpDrain.make": (memory, app) =>
    Effect.flatMap(HttpDrain.make(), (drain) => Effect.as(around(memory, app, drain.middleware), ofDrain(drain))),
  "HttpDrain.layerRouter": (memory, app) =>
    Effect.flatMap(HttpDrain.make(), (drain) =>
      Effect.as(
        layered(memory, app, Layer.provide(HttpDrain.layerRouter, Layer.succeed(HttpDrain.HttpDrain, drain))),
        ofDrain(drain)
      )),
  "HttpProblem.middleware": (memory, app) => Effect.as(around(memory, app, HttpProblem.middleware()), {}),
  "HttpProblem.layerRouter": (memory, app) => Effect.as(layered(memory, app, HttpProblem.layerRouter()), {}),
  "HttpProblem.forRoutes": (memory, app) =>
    Effect.as(layered(memory, app, Layer.empty, HttpProblem.forRoutes().layer), {}),
  "HttpRateLimit.make": (memory, app) =>
    Effect.flatMap(HttpRateLimit.make(rate), (made) => Effect.as(around(memory, app, made.middleware), {})),
  "HttpRateLimit.layerRouter": (memory, app) => Effect.as(layered(memory, app, HttpRateLimit.layerRouter(rate)), {}),
  "HttpRateLimit.forRoutes": (memory, app) =>
    Effect.as(layered(memory, app, Layer.empty, HttpRateLimit.forRoutes(rate).layer), {})
}

const directory = new URL("../src/", import.meta.url)

/** What the modules export that a row is due for: the ways of this package to put something around requests. */
const exported = Effect.promise(async () => {
  const found: Array<string> = []
  for (const file of fs.readdirSync(directory).filter((name) => name.endsWith(".ts") && name !== "index.ts")) {
    const module = await import(new URL(file, directory).href) as Record<string, unknown>
    const source = fs.readFileSync(new URL(file, directory), "utf8")
    const name = file.slice(0, -3)
    const names = Object.keys(module).filter((one) =>
      one === "make" ? /readonly middleware\b/.test(source) : ["middleware", "layerRouter", "forRoutes"].includes(one)
    )
    // A module that takes an app under another name would have no row.
    assert.strictEqual(names.length > 0, /HttpApp\.Default<|HttpLayerRouter\./.test(source), name)
    found.push(...names.map((one) => `${name}.${one}`))
  }
  return found
})

/** A handler that runs: how it can end. */
interface Running {
  readonly gate: Deferred.Deferred<void, Timeout.TimedOut>
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
}

const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Waits for what the server does at once, turn by turn. A wait that is as long has no end. */
const until = (
  condition: () => boolean | Effect.Effect<boolean>,
  what: () => string,
  turns = 5000
): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.suspend(() => {
      const held = condition()
      return typeof held === "boolean" ? Effect.succeed(held) : held
    }),
    (held) =>
      held
        ? Effect.void
        : turns === 0
        ? Effect.dieMessage(`${what()}: not so after 5000 turns of the event loop`)
        : Effect.zipRight(turn, until(condition, what, turns - 1))
  )

/** One world: clients come, leave and stop reading, handlers answer, fail, die and are interrupted, in an order that the seed says. */
const orderOf = (name: string, serve: Serve, seed: number, taken: Set<string>) =>
  Effect.gen(function*() {
    const random = Random.make(`${name} ${seed}`)
    const running: Array<Running> = []
    let inside = 0
    let scopes = 0
    let gated = true
    const app: Memory.App = Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      yield* Effect.acquireRelease(Effect.sync(() => scopes++), () => Effect.sync(() => scopes--))
      const gate = yield* Deferred.make<void, Timeout.TimedOut>()
      const one: Running = { gate, fiber: Option.getOrThrow(Fiber.getCurrentFiber()) }
      const stubborn = yield* random.nextBoolean
      const work = Effect.async<void>((resume) => {
        inside++
        if (gated) {
          running.push(one)
        }
        resume(Effect.void)
      }).pipe(
        Effect.zipRight(
          request.headers["upgrade"] === undefined
            ? gated ? Deferred.await(gate) : Effect.void
            : Effect.flatMap(request.upgrade, (socket) => socket.run(() => {}))
        ),
        Effect.ensuring(Effect.sync(() => {
          inside--
          running.splice(running.indexOf(one) >>> 0, 1)
        }))
      )
      yield* stubborn && request.headers["upgrade"] === undefined
        ? Effect.uninterruptible(work)
        : Effect.interruptible(work)
      return HttpServerResponse.text("done")
    })
    const scope = yield* Scope.make()
    const memory = yield* Scope.extend(Memory.make, scope)
    const { end = Effect.void, held = Effect.succeed([]), limit = Infinity } = yield* Scope.extend(
      serve(memory, app),
      scope
    )
    const sound = Effect.map(held, (numbers) => {
      assert.isAtMost(inside, limit)
      numbers.forEach((number) => assert.isAtLeast(number, 0))
    })

    let clients: Array<Memory.Connection> = []
    const pick = <A>(all: ReadonlyArray<A>) => Effect.map(random.nextIntBetween(0, all.length), (index) => all[index]!)
    const kinds = Object.values(Memory.requests)
    const actions: Readonly<Record<string, () => Effect.Effect<boolean>>> = {
      "arrives": () =>
        Effect.gen(function*() {
          const client = memory.connect(yield* random.nextBoolean)
          client.send((yield* pick(kinds)).text)
          clients.push(client)
          return true
        }),
      "leaves": () =>
        Effect.gen(function*() {
          clients = clients.filter((client) => !client.destroyed)
          if (clients.length > 0) {
            const client = yield* pick(clients)
            assert.isAbove(client.listenerCount("error"), 0)
            client.reset()
            return true
          }
          return false
        }),
      "reads": () =>
        Effect.map(Effect.sync(() => clients.forEach((client) => client.beginToRead())), () => clients.length > 0),
      "is answered": () => ends((one) => Deferred.succeed(one.gate, undefined)),
      "fails": () =>
        ends((one) =>
          Deferred.fail(
            one.gate,
            new Timeout.TimedOut({
              scope: "total",
              limit: Duration.millis(1),
              policy: "orders",
              dependency: "orders",
              attempt: 1,
              maxAttempts: 1
            })
          )
        ),
      "dies": () => ends((one) => Deferred.die(one.gate, new Error("a bug of the handler"))),
      "is interrupted": () => ends((one) => Fiber.interruptFork(one.fiber)),
      "waits": () => Effect.as(turn, true)
    }
    const ends = (act: (one: Running) => Effect.Effect<unknown>) =>
      Effect.suspend(() =>
        running.length === 0 ? Effect.succeed(false) : Effect.as(Effect.flatMap(pick(running), act), true)
      )
    const names = Object.keys(actions)
    for (let step = 0; step < 60; step++) {
      const action = yield* pick(step < 8 ? ["arrives", "waits"] : names)
      if (yield* actions[action]!()) {
        taken.add(action)
      }
      yield* sound
    }

    gated = false
    yield* Effect.forEach([...running], (one) => Deferred.succeed(one.gate, undefined))
    clients.forEach((client) => client.reset())
    yield* until(() => inside === 0 && scopes === 0, () => `${name}, ${seed}: every request ends`)
    let numbers: ReadonlyArray<number> = []
    yield* until(
      () =>
        Effect.map(held, (now) => {
          numbers = now
          return now.every((number) => number === 0)
        }),
      () => `${name}, ${seed}: nothing is held, but ${numbers}`
    )
    // Given back twice, a place would let in too many; not given back, too few.
    gated = true
    const burst = Number.isFinite(limit) ? limit : 3
    const polite = Array.from({ length: burst + 1 }, () => {
      const client = memory.connect()
      client.send(Memory.requests["GET"]!.text)
      return client
    })
    yield* until(() => inside >= burst, () => `${name}, ${seed}: ${burst} handlers run at once`)
    yield* Effect.repeatN(turn, 5)
    assert.isAtMost(inside, limit)
    gated = false
    yield* Effect.forEach([...running], (one) => Deferred.succeed(one.gate, undefined))
    yield* until(
      () => polite.every((client) => client.statuses[0] === 200),
      () => `${name}, ${seed}: ${burst + 1} polite requests are answered`
    )
    yield* end
    yield* until(() => inside === 0 && scopes === 0, () => `${name}, ${seed}: every request ends`)
    const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
    yield* until(() => closed.unsafePoll() !== null, () => `${name}, ${seed}: the server ends`)
    const alarms = Alarm.of(yield* Effect.clock)
    assert.strictEqual(alarms.size, 0)
  }).pipe(Effect.withClock(Clock.make()), Effect.provide(Logger.remove(Logger.defaultLogger)))

describe("what a middleware has taken is given back exactly once", () => {
  it.live("for every export that stands around requests", () =>
    Effect.map(exported, (found) => assert.deepStrictEqual(found.sort(), [...routes, ...Object.keys(rows)].sort())))

  for (const [name, serve] of Object.entries(rows)) {
    it.live(`${name}: in whatever order clients come and leave, and handlers answer, fail, die and are interrupted`, () =>
      Effect.gen(function*() {
        const taken = new Set<string>()
        for (let seed = 0; seed < 15; seed++) {
          yield* orderOf(name, serve, seed, taken)
        }
        assert.strictEqual(taken.size, 8)
      }))
  }
})
