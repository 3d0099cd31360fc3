/**
 * The calls in flight of a breaker that watches for slow ones.
 *
 * @since 0.1.0
 */

/** The most calls in flight that are followed; further ones are seen when they finish. */
const mostFollowed = 2 ** 21 - 1

/**
 * The calls in flight in the order of their admission: a doubly linked list in typed arrays, so that a call is added
 * and removed in O(1) without allocating. Place 0 is the two ends of the list; calls stand at places from 1 on.
 */
export class CallsInFlight {
  private next = new Int32Array(16)
  private previous = new Int32Array(16)
  private startedAt = new Float64Array(16)
  private used = 0
  private free = 0

  /** The call that was admitted first, 0 when there is none. */
  get oldest(): number {
    return this.next[0]!
  }

  /** The call admitted after `place`, 0 when there is none. */
  after(place: number): number {
    return this.next[place]!
  }

  /** When the call at `place` was admitted. */
  start(place: number): number {
    return this.startedAt[place]!
  }

  /** The place of a new call, 0 when no more can be followed. */
  add(now: number): number {
    let place = this.free
    if (place !== 0) {
      this.free = this.next[place]!
    } else {
      if (this.used === mostFollowed) return 0
      place = ++this.used
      if (place === this.next.length) this.grow()
    }
    const newest = this.previous[0]!
    this.startedAt[place] = now
    this.next[newest] = place
    this.previous[place] = newest
    this.next[place] = 0
    this.previous[0] = place
    return place
  }

  remove(place: number): void {
    const after = this.next[place]!
    const before = this.previous[place]!
    this.next[before] = after
    this.previous[after] = before
    this.next[place] = this.free
    this.free = place
  }

  clear(): void {
    this.next[0] = 0
    this.previous[0] = 0
    this.used = 0
    this.free = 0
  }

  /** Follows a clock that stepped by `step`, so that every call keeps its age. */
  shift(step: number): void {
    for (let place = this.oldest; place !== 0; place = this.after(place)) this.startedAt[place]! += step
  }

  private grow(): void {
    const enlarge = <A extends Int32Array | Float64Array>(from: A, to: A): A => {
      to.set(from)
      return to
    }
    const size = this.next.length * 2
    this.next = enlarge(this.next, new Int32Array(size))
    this.previous = enlarge(this.previous, new Int32Array(size))
    this.startedAt = enlarge(this.startedAt, new Float64Array(size))
  }
}
