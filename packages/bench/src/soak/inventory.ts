/** What a process holds, in figures that can be compared before and after. */
import * as Undici from "@effect/platform-node/Undici"
import type { EventEmitter } from "node:events"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

/** Listeners of an emitter, by event. */
export const listeners = (emitter: EventEmitter): ReadonlyMap<string, number> =>
  new Map(emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]))

/** What keeps this process alive, by kind. */
export const resources = (): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) found.set(kind, (found.get(kind) ?? 0) + 1)
  return found
}

/** What is more in one count than in another, as a sum and in words. */
export const more = (
  after: ReadonlyMap<string, number>,
  before: ReadonlyMap<string, number>
): { readonly sum: number; readonly detail: string } => {
  const grown = [...after].flatMap(([name, count]) => {
    const by = count - (before.get(name) ?? 0)
    return by > 0 ? [[name, by] as const] : []
  })
  return {
    sum: grown.reduce((sum, [, by]) => sum + by, 0),
    detail: grown.map(([name, by]) => `${by} ${name}`).join("\n")
  }
}

export const connections = (server: Http.Server): Promise<number> =>
  new Promise((resolve) => server.getConnections((_, count) => resolve(count)))

/** Collects garbage until nothing more goes, and says how large the heap is, in MB. */
export const heap = async (): Promise<number> => {
  const collect = (globalThis as { gc?: () => void }).gc!
  let size = Infinity
  for (;;) {
    // What finalizers and closed sockets hold is let go in a later turn.
    await new Promise((resolve) => setImmediate(resolve))
    collect()
    const now = process.memoryUsage().heapUsed / 1_000_000
    if (now > size - 0.05) return Math.min(now, size)
    size = now
  }
}

/**
 * Waits until no async context is kept, and says how many are. Undici, in npm's edition and in that of Node's own fetch, has one timer for
 * the process, which keeps the context of the request that armed it last, without us too: five calls of `fetch` alone leave one
 * context. So that timer is armed again and again from here, outside of every call.
 */
export const contextsLeft = async (seconds: number, kept: () => number): Promise<number> => {
  const server = Http.createServer((_, response) => response.setHeader("connection", "close").end("here"))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const agent = new Undici.Agent()
  await within(seconds, async () => {
    await (await fetch(url)).text()
    await (await Undici.request(url, { dispatcher: agent })).body.text()
    // The timer rings once a second at most, and only one that has rung takes another context.
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    await heap()
    return kept() === 0
  })
  await agent.destroy()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return kept()
}

/**
 * Waits for a condition, asked again and again; `false` when it does not hold within the time. The time is a limit for what never comes: no
 * figure depends on it.
 */
export const within = async (seconds: number, holds: () => Promise<boolean> | boolean): Promise<boolean> => {
  const end = Date.now() + seconds * 1_000
  while (!(await holds())) {
    if (Date.now() > end) return false
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return true
}
