/**
 * The cap on the damage of chaos: how many calls it may hold at once, what share of the attempts it may disturb, how many in all.
 */

/** The attempts over which the share is reckoned. */
const windowSize = 100

/** @internal */
export interface Caps {
  readonly concurrent: number
  readonly share: number
  readonly injections: number
}

/** @internal */
export class BlastRadius {
  private readonly caps: Caps
  /** 1 for a disturbed attempt, by the order of the last hundred. */
  private readonly recent = new Uint8Array(windowSize)
  private seen = 0
  private recentHits = 0
  private injected = 0
  /** Calls that are delayed or hang now. */
  active = 0

  constructor(caps: Caps) {
    this.caps = caps
  }

  /** Another attempt came by, and shall be disturbed or not; may it? One that is held counts as active until `release`. */
  pass(disturb: boolean, hold: boolean): boolean {
    const place = this.seen % windowSize
    this.recentHits -= this.recent[place]!
    this.seen++
    const admitted = disturb &&
      this.recentHits + 1 <= this.caps.share * Math.min(this.seen, windowSize) &&
      this.injected < this.caps.injections &&
      (!hold || this.active < this.caps.concurrent)
    this.recent[place] = admitted ? 1 : 0
    if (admitted) {
      this.recentHits++
      this.injected++
      if (hold) {
        this.active++
      }
    }
    return admitted
  }

  release(): void {
    this.active--
  }
}
