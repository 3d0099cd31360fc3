/** What a process holds, in figures that can be compared before and after. */
import type { EventEmitter } from "node:events"
import type * as Http from "node:http"

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
