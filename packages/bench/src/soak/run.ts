/** One soak: load in waves, the end of it, and what is held then. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import { Counts, Logged } from "./counts.js"
import * as Hostile from "./hostile.js"
import * as Inventory from "./inventory.js"
import * as Protected from "./protected.js"
import type { Figure } from "./report.js"
import { seeded } from "./seeded.js"
import * as Server from "./server.js"
import * as Upstream from "./upstream.js"

export interface Options {
  readonly seconds: number
  readonly seed: number
  /** The kinds of load whose names match. */
  readonly only: RegExp
}

export interface Result {
  readonly counts: Counts
  readonly logged: Logged
  readonly waves: number
  /** How long the load lasted, and how long it took until nothing was held. */
  readonly loadSeconds: number
  readonly settleSeconds: number
  /** The heap in MB after each wave, once warm. */
  readonly heap: ReadonlyArray<number>
  readonly figures: ReadonlyArray<Figure>
}

/** Clients of one kind in one wave, the milliseconds over which they come, and the waves until slow ones come again. */
const perWave = 4
const spread = 200
const slowEvery = 8

/** How long something may be held after the last client has gone, and after everything is closed, in seconds. */
const graceSeconds = 10

const pause = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

/** The end of a promise, or `late` if none comes in so many milliseconds. */
const orLate = <A, B>(end: Promise<A>, millis: number, late: B): Promise<A | B> => {
  let timer: NodeJS.Timeout | undefined
  const passed = new Promise<B>((resolve) => {
    timer = setTimeout(() => resolve(late), millis)
  })
  return Promise.race([end, passed]).finally(() => clearTimeout(timer))
}

/** The middle one of some numbers. */
const median = (numbers: ReadonlyArray<number>): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

/** What the process was told that would have ended it, or that is a leak by another name. */
const watchProcess = () => {
  const fatal: Array<string> = []
  const warnings: Array<string> = []
  const note = (list: Array<string>, text: string) => {
    if (list.length < 20) list.push(text.replace(/\s+/g, " ").slice(0, 90))
  }
  process.on("uncaughtException", (error) => note(fatal, String(error)))
  process.on("unhandledRejection", (error) => note(fatal, `rejection: ${String(error)}`))
  process.on("warning", ({ message, name }) => {
    if (name === "MaxListenersExceededWarning") note(warnings, message)
  })
  return { fatal, warnings }
}

export const soak = async (options: Options): Promise<Result> => {
  const random = seeded(options.seed)
  const watched = watchProcess()
  const counts = new Counts()
  const logged = new Logged()
  const runtime = ManagedRuntime.make(Logger.replace(Logger.defaultLogger, logged.logger))
  const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => runtime.runPromise(effect)

  const before = { resources: Inventory.resources(), process: Inventory.listeners(process) }
  const scope = Effect.runSync(Scope.make())
  const server = await run(Server.start)
  const upstream = await run(Scope.extend(Upstream.start(random), scope))
  const clients = await run(Scope.extend(Protected.make(upstream, random), scope))
  const serverListeners = Inventory.listeners(server.http)

  const kinds: ReadonlyArray<readonly [string, () => Promise<string>]> = [
    ...Object.entries(Hostile.clients).map(([name, client]) =>
      [name, () => client({ port: server.port, random })] as const
    ),
    ...clients.kinds
  ].filter(([name]) => options.only.test(name))

  let waves = 0

  /** All kinds at once, a few of each; it ends when the last one has. */
  const wave = async () => {
    await run(upstream.change(random))
    await Promise.all(
      kinds.filter(([name]) => waves % slowEvery === 0 || !Hostile.slow.has(name)).flatMap(([name, one]) =>
        Array.from({ length: perWave }, async () => {
          await pause(random() * spread)
          counts.add(name, await orLate(one(), Hostile.patience + 5_000, Hostile.hung))
        })
      )
    )
  }

  const began = Date.now()
  const samples: Array<number> = []
  // A sixth is for warming up: code is compiled and pools are filled then.
  while (Date.now() - began < options.seconds * 1_000) {
    await wave()
    waves++
    const size = await Inventory.heap()
    if (Date.now() - began > options.seconds * 1_000 / 6) samples.push(size)
  }

  const third = Math.floor(samples.length / 3)
  const grown = median(samples.slice(-third)) - median(samples.slice(0, third))

  await run(upstream.proxy.clear)
  const held = async () => {
    const bulkhead = await run(server.admission.bulkhead.snapshot)
    const limiters = [server.rateLimit.limiter, ...server.rateLimit.tiers.values()]
    const queued = await Promise.all(limiters.map((one) => run(one.queued)))
    return {
      places: bulkhead.active,
      queued: bulkhead.queued + queued.reduce((sum, one) => sum + one, 0),
      inFlight: await run(server.drain.inFlight),
      handlers: [...server.running.values()].reduce((sum, one) => sum + one, 0),
      connections: await Inventory.connections(server.http),
      ...await run(clients.held)
    }
  }
  const settled = Date.now()
  await Inventory.within(graceSeconds, async () => Object.values(await held()).every((count) => count === 0))
  const settling = (Date.now() - settled) / 1_000
  const left = await held()
  const handlersLeft = Inventory.more(server.running, new Map())
  const listenersLeft = Inventory.more(Inventory.listeners(server.http), serverListeners)

  const closing = Date.now()
  const down = await orLate(run(server.shutdown).then(() => true), 20_000, false)
  const shutdown = (Date.now() - closing) / 1_000
  await run(Scope.close(scope, Exit.void))
  await runtime.dispose()
  /** Pipes and terminals are those of the report. */
  const resourcesLeft = () => Inventory.more(Inventory.resources(), before.resources)
  const contexts = await Inventory.contextsLeft(graceSeconds, clients.contexts)
  await Inventory.within(graceSeconds, () => resourcesLeft().sum === 0)
  const processListeners = Inventory.more(Inventory.listeners(process), before.process)
  const resources = resourcesLeft()

  const figures: ReadonlyArray<Figure> = [
    { title: "clients that waited 15 s and got no end", found: counts.total(Hostile.hung), bound: 0 },
    { title: "calls that ended with a defect", found: counts.total("defect"), bound: 0 },
    {
      title: "errors that would have ended the process",
      found: watched.fatal.length,
      bound: 0,
      detail: watched.fatal.join("\n")
    },
    { title: "places of the admission held", found: left.places, bound: 0 },
    { title: "requests that wait for a place or a turn", found: left.queued, bound: 0 },
    { title: "requests that the drain counts", found: left.inFlight, bound: 0 },
    { title: "handlers that run", found: left.handlers, bound: 0, detail: handlersLeft.detail },
    { title: "connections of the server", found: left.connections, bound: 0 },
    { title: "permits of the clients' bulkheads held", found: left.permits, bound: 0 },
    { title: "calls that wait in bulkheads and limiters", found: left.waiting, bound: 0 },
    { title: "probes of circuits under way", found: left.probes, bound: 0 },
    { title: "retry budgets that are not whole", found: left.budgets, bound: 0 },
    { title: "alarms in the queue of the clock", found: left.alarms, bound: 0 },
    { title: "deferred jobs without an end", found: left.deferred, bound: 0 },
    {
      title: "listeners on the server, more than at first",
      found: listenersLeft.sum,
      bound: 0,
      detail: listenersLeft.detail
    },
    {
      title: "listeners on the process, more than at first",
      found: processListeners.sum,
      bound: 0,
      detail: processListeners.detail
    },
    {
      title: "emitters with too many listeners",
      found: watched.warnings.length,
      bound: 0,
      detail: watched.warnings.join("\n")
    },
    { title: "time until the server has shut down", found: down ? shutdown : Infinity, bound: 5, unit: "s" },
    { title: "timers and sockets, more than at first", found: resources.sum, bound: 0, detail: resources.detail },
    { title: "async contexts of calls that are kept", found: contexts, bound: 0 },
    { title: "heap after gc, last third less first third", found: grown, bound: 1, unit: "MB" }
  ]

  return {
    counts,
    logged,
    waves,
    loadSeconds: (settled - began) / 1_000,
    settleSeconds: settling,
    heap: samples,
    figures
  }
}
