/**
 * How long a circuit breaker has been in each of its states, the present one included.
 *
 * @since 0.1.0
 */

type Tag = "Closed" | "Open" | "HalfOpen" | "Isolated" | "Disabled"

/**
 * Starts closed.
 *
 * @since 0.1.0
 * @category models
 */
export class StateTime {
  private readonly spent: Record<Tag, number> = { Closed: 0, Open: 0, HalfOpen: 0, Isolated: 0, Disabled: 0 }
  private present: Tag = "Closed"
  private since: number

  constructor(now: number) {
    this.since = now
  }

  become(tag: Tag, now: number): void {
    this.spent[this.present] += Math.max(0, now - this.since)
    this.present = tag
    this.since = now
  }

  /** The clock stepped: the present state stays as old as it was. */
  shift(step: number): void {
    this.since += step
  }

  /** Milliseconds, as data of its own. */
  totals(now: number): Record<Tag, number> {
    return { ...this.spent, [this.present]: this.spent[this.present] + Math.max(0, now - this.since) }
  }
}
