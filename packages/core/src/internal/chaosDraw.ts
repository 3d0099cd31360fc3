/**
 * The dice of chaos: numbers that depend on nothing but what they are drawn for, so that a run can be played again, in whatever
 * order its calls come.
 */
import type { Spread } from "../Fault.js"

/** Spreads the bits of a 32-bit number over all its bits. */
const mixed = (word: number): number => {
  let bits = word
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}

/**
 * A number from [0, 1) for a list of words: the same for the same list, and as good as independent of that for any other.
 *
 * @internal
 */
export const draw = (...words: ReadonlyArray<string | number>): number => {
  // The length goes in front, so that no two lists make one text.
  const text = words.map((word) => `${String(word).length}:${word}`).join("")
  let high = 0x811c9dc5
  let low = 0x2f0b4c47
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    high = Math.imul(high ^ unit, 0x01000193)
    low = Math.imul(low ^ unit, 0x5bd1e995) ^ (low >>> 15)
  }
  return (mixed(high ^ low) * 2 ** 21 + (mixed(low + 0x9e3779b9) >>> 11)) / 2 ** 53
}

/**
 * A delay in milliseconds for one or two draws.
 *
 * @internal
 */
export const delayOf = (spread: Spread, drawn: (which: number) => number): number => {
  switch (spread._tag) {
    case "Fixed":
      return spread.millis
    case "Uniform":
      return spread.from + (spread.to - spread.from) * drawn(1)
    case "Normal": {
      // Two even draws make a normal one (Box and Muller); 1 - draw is never 0.
      const standard = Math.sqrt(-2 * Math.log(1 - drawn(1))) * Math.cos(2 * Math.PI * drawn(2))
      return Math.min(spread.largest, Math.max(0, spread.mean + spread.deviation * standard))
    }
  }
}

/** How many keys are counted at most. */
const mostKeys = 10_000

/**
 * Numbers the arrivals of what has no name of its own. Of too many, those that came first are forgotten.
 *
 * @internal
 */
export class Arrivals {
  private readonly counts = new Map<string, number>()

  next(key: string): number {
    const count = (this.counts.get(key) ?? 0) + 1
    this.counts.set(key, count)
    if (this.counts.size > mostKeys) {
      this.counts.delete(this.counts.keys().next().value!)
    }
    return count
  }
}
