/**
 * Measures contenders against each other in one process: interleaved rounds in rotating order, medians, and overheads over the bare
 * operation.
 */
import type { Figures, Settings } from "./Group.js"
import { median } from "./statistics.js"

/** Runs its body `calls` times and resolves when all are done. */
export interface Contender {
  readonly title: string
  /** The title of the bare operation in the same style. */
  readonly over?: string | undefined
  /** The calls of a timed round come in multiples of this: as many callers as work at once. Default 1. */
  readonly burst?: number | undefined
  readonly run: (calls: number) => Promise<void>
}

/** CPU time of this process, in microseconds: all its threads, so that the collector's work is counted. */
export const cpuMicros = (): number => {
  const { system, user } = process.cpuUsage()
  return user + system
}

const collect = (globalThis as { readonly gc?: (options?: { readonly type: "minor" }) => void }).gc

/** Empties the young generation, so that nobody pays for what another one left there. */
export const collectYoung = (): void => collect?.({ type: "minor" })

export const collectAll = (): void => collect?.()

const timed = async (contender: Contender, calls: number): Promise<number> => {
  collectYoung()
  const before = cpuMicros()
  await contender.run(calls)
  return (cpuMicros() - before) / calls
}

const whole = (calls: number, { burst = 1 }: Contender): number => Math.max(1, Math.round(calls / burst)) * burst

/** Far less than the young generation holds: a sample in which something was collected would be worth nothing. */
const mostSampled = 300_000

/**
 * Allocated bytes per call. The young generation is emptied before, and the sample kept so small that nothing is collected within it. Not
 * a full collection: it throws away what the compiler knows of the code, and slow code allocates more.
 */
const sampled = async (contender: Contender, calls: number): Promise<number> => {
  collectYoung()
  const before = process.memoryUsage().heapUsed
  await contender.run(calls)
  return (process.memoryUsage().heapUsed - before) / calls
}

const sampleOf = async (contender: Contender): Promise<number> => {
  const rough = Math.max(1, await sampled(contender, 20))
  return Math.round(Math.min(1000, Math.max(20, mostSampled / rough)))
}

/** CPU time of one turn of the warm-up, in microseconds. */
const longestTurn = 250_000

/** Warms up in turns, so that nobody is compiled for a world in which the others do not exist; answers what a call costs by then. */
const warmUp = async (contenders: ReadonlyArray<Contender>, calls: number): Promise<ReadonlyArray<number>> => {
  const turns = 5
  let costs: ReadonlyArray<number> = []
  for (let turn = 0; turn < turns; turn++) {
    const found: Array<number> = []
    for (const [index, contender] of contenders.entries()) {
      // A contender that takes milliseconds is warm after fewer calls.
      const rough = costs[index] ?? await timed(contender, whole(20, contender))
      found.push(await timed(contender, whole(Math.min(calls / turns, longestTurn / rough), contender)))
    }
    costs = found
  }
  return costs
}

const inTurn = async <A, B>(all: ReadonlyArray<A>, one: (a: A) => Promise<B>): Promise<ReadonlyArray<B>> => {
  const found: Array<B> = []
  for (const a of all) {
    found.push(await one(a))
  }
  return found
}

export const measure = async (
  contenders: ReadonlyArray<Contender>,
  settings: Settings
): Promise<Readonly<Record<string, Figures>>> => {
  const costs = await warmUp(contenders, settings.warmUp)
  const calls = contenders.map((contender, index) => whole(settings.roundMillis * 1000 / costs[index]!, contender))
  const samples = await inTurn(contenders, sampleOf)
  const times = contenders.map((): Array<number> => [])
  const bytes = contenders.map((): Array<number> => [])
  for (let round = 0; round < settings.rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const index = (turn + round) % contenders.length
      times[index]!.push(await timed(contenders[index]!, calls[index]!))
      bytes[index]!.push(await sampled(contenders[index]!, samples[index]!))
    }
  }
  const figures = new Map(contenders.map(({ title }, index) => [
    title,
    { micros: median(times[index]!), bytes: median(bytes[index]!) }
  ]))
  return Object.fromEntries(contenders.map(({ over, title }) => {
    const own = figures.get(title)!
    const bare = over === undefined ? undefined : figures.get(over)
    return [
      title,
      bare === undefined ? own : { ...own, overMicros: own.micros - bare.micros, overBytes: own.bytes - bare.bytes }
    ]
  }))
}

/** Bytes that are still held when `fill` is done, off the heap too: typed arrays keep their numbers there. */
export const heldBytes = async (fill: () => Promise<unknown>): Promise<number> => {
  const read = (): number => {
    collectAll()
    collectAll()
    const { arrayBuffers, heapUsed } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const before = read()
  await fill()
  return read() - before
}
