/**
 * The policies of a keyed policy: those that are kept, least recently used first, and those that have to go but have calls in flight.
 */
import type { Region } from "./gate.js"

/** @internal */
export interface Member {
  readonly key: string
  readonly region: Region
  /** When a call used it last. */
  usedAt: number
  /** Its calls in flight. */
  calls: number
}

/**
 * There are never more members than `capacity` and keys with calls in flight: a key whose calls are under way keeps its policy, so that
 * a call that comes meanwhile finds what the others count in.
 *
 * @internal
 */
export class KeyedMembers {
  readonly capacity: number
  readonly idleMillis: number
  // A Map keeps the order of insertion: the first one is the one least recently used.
  private readonly kept = new Map<string, Member>()
  /** Beyond the capacity or idle for too long, and still in use. */
  private readonly leaving = new Map<string, Member>()

  constructor(capacity: number, idleMillis: number) {
    this.capacity = capacity
    this.idleMillis = idleMillis
  }

  get keys(): ReadonlyArray<string> {
    return [...this.kept.keys()]
  }

  /** The policy of a key, for one more call. */
  enter(key: string, now: number): Member | undefined {
    const member = this.kept.get(key) ?? this.leaving.get(key)
    if (member === undefined || (member.calls === 0 && now - member.usedAt >= this.idleMillis)) {
      return undefined
    }
    this.use(member, now)
    member.calls++
    return member
  }

  /** Keeps a policy that was built for a call, which has entered it with that. */
  add(key: string, region: Region, now: number): Member {
    const member: Member = { key, region, usedAt: now, calls: 1 }
    this.use(member, now)
    return member
  }

  /** A call has ended. */
  leave(member: Member, clock: { readonly now: () => number }): void {
    if (--member.calls > 0) {
      return
    }
    if (this.leaving.delete(member.key)) {
      // In use until now, so not idle; it may stay if there is room.
      if (this.kept.size < this.capacity) {
        this.use(member, clock.now())
      }
    } else {
      this.use(member, clock.now())
    }
  }

  private use(member: Member, now: number): void {
    const { key } = member
    this.leaving.delete(key)
    this.kept.delete(key)
    member.usedAt = now
    this.kept.set(key, member)
    for (const oldest of this.kept.values()) {
      if (this.kept.size <= this.capacity && now - oldest.usedAt < this.idleMillis) {
        break
      }
      this.kept.delete(oldest.key)
      if (oldest.calls > 0) {
        this.leaving.set(oldest.key, oldest)
      }
    }
  }
}
