/**
 * Measures contenders against each other in one process: interleaved rounds, medians, and overheads over the bare operation.
 */

/** Runs its body `calls` times and resolves when all are done. */
export interface Contender {
  readonly title: string
  readonly run: (calls: number) => Promise<void>
}

export interface Figures {
  /** CPU microseconds per call, median of the rounds. */
  readonly micros: number
  /** Allocated bytes per call, median of the rounds. */
  readonly bytes: number
}

const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const cpuMicros = (): number => {
  const { system, user } = process.cpuUsage()
  return user + system
}

/** Bytes are read without a collection in between: the young generation is emptied before, and the round kept small enough. */
const bytesPerCall = async (contender: Contender): Promise<number> => {
  const calls = 200
  const samples: Array<number> = []
  for (let sample = 0; sample < 9; sample++) {
    globalThis.gc?.()
    const before = process.memoryUsage().heapUsed
    await contender.run(calls)
    samples.push((process.memoryUsage().heapUsed - before) / calls)
  }
  return median(samples)
}

export interface Settings {
  readonly calls: number
  readonly rounds: number
  readonly warmUp: number
}

export const measure = async (
  contenders: ReadonlyArray<Contender>,
  settings: Settings
): Promise<ReadonlyMap<string, Figures>> => {
  for (const contender of contenders) {
    await contender.run(settings.warmUp)
  }
  const times = new Map<string, Array<number>>(contenders.map((contender) => [contender.title, []]))
  for (let round = 0; round < settings.rounds; round++) {
    for (let place = 0; place < contenders.length; place++) {
      const contender = contenders[(place + round) % contenders.length]!
      const before = cpuMicros()
      await contender.run(settings.calls)
      times.get(contender.title)!.push((cpuMicros() - before) / settings.calls)
    }
  }
  const figures = new Map<string, Figures>()
  for (const contender of contenders) {
    figures.set(contender.title, {
      micros: median(times.get(contender.title)!),
      bytes: await bytesPerCall(contender)
    })
  }
  return figures
}
