/**
 * The probes in flight of a half-open circuit breaker, oldest first.
 *
 * @since 0.1.0
 */

/** Numbers stay below this, so that one fits into a ticket; they start again long after the first use has ended. */
const mostNumbers = 2 ** 21 - 1

/** Who holds a probe slot since when. Probes are few, so plain arrays serve. */
export class ProbeSlots {
  private readonly numbers: Array<number> = []
  private readonly starts: Array<number> = []
  private last = 0

  get inFlight(): number {
    return this.numbers.length
  }

  /** When the oldest probe was admitted, `undefined` when none is in flight. */
  get oldestStart(): number | undefined {
    return this.starts[0]
  }

  /** The number of the oldest probe, if it was admitted `timeoutMillis` ago or longer. */
  overdue(now: number, timeoutMillis: number): number | undefined {
    return this.starts.length > 0 && now >= this.starts[0]! + timeoutMillis ? this.numbers[0] : undefined
  }

  /** Takes a slot and answers the number of the probe, from 1 on. */
  take(now: number): number {
    this.last = this.last === mostNumbers ? 1 : this.last + 1
    this.numbers.push(this.last)
    this.starts.push(now)
    return this.last
  }

  /** Gives the slot of a probe back; `false` when it holds none any more. */
  release(number: number): boolean {
    const index = this.numbers.indexOf(number)
    if (index === -1) return false
    this.numbers.splice(index, 1)
    this.starts.splice(index, 1)
    return true
  }

  /** Takes back the slots of probes admitted `timeoutMillis` ago or longer, and answers how many they were. */
  reclaim(now: number, timeoutMillis: number): number {
    let hung = 0
    while (hung < this.starts.length && now >= this.starts[hung]! + timeoutMillis) hung++
    this.numbers.splice(0, hung)
    this.starts.splice(0, hung)
    return hung
  }

  clear(): void {
    this.numbers.length = 0
    this.starts.length = 0
  }

  /** Follows a clock that stepped by `step`, so that every probe keeps its age. */
  shift(step: number): void {
    for (let index = 0; index < this.starts.length; index++) this.starts[index]! += step
  }
}
