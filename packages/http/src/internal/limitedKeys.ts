/**
 * Counts who is limited most, in bounded memory: the space-saving sketch of Metwally, Agrawal and El Abbadi.
 *
 * Every key that was limited more than `total / places` times is in the list; a count is too large by its `error` at most.
 *
 * @since 0.1.0
 */

/** @internal */
export interface LimitedKey {
  readonly key: string
  readonly count: number
  readonly error: number
}

/** @internal */
export class LimitedKeys {
  readonly places: number
  private readonly counts = new Map<string, { count: number; error: number }>()

  constructor(places: number) {
    this.places = places
  }

  get size(): number {
    return this.counts.size
  }

  add(key: string): void {
    const known = this.counts.get(key)
    if (known !== undefined) {
      known.count++
      return
    }
    let error = 0
    if (this.counts.size === this.places) {
      let least: string | undefined
      error = Infinity
      for (const [one, { count }] of this.counts) {
        if (count < error) {
          error = count
          least = one
        }
      }
      this.counts.delete(least!)
    }
    this.counts.set(key, { count: error + 1, error })
  }

  /** The past counts half: who was limited an hour ago makes room for who is limited now. */
  fade(): void {
    for (const [key, entry] of this.counts) {
      entry.count = Math.floor(entry.count / 2)
      entry.error = Math.floor(entry.error / 2)
      if (entry.count === 0) {
        this.counts.delete(key)
      }
    }
  }

  /** Most limited first. */
  top(most: number): ReadonlyArray<LimitedKey> {
    return [...this.counts]
      .map(([key, { count, error }]) => ({ key, count, error }))
      .sort((a, b) => b.count - a.count || (a.key < b.key ? -1 : 1))
      .slice(0, most)
  }
}
