/**
 * The last good answers by key: bounded, the least recently used goes first, and none is served past its time.
 */
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import * as Failure from "../Failure.js"

/**
 * What answers are told apart by. A value that is compared by its identity, or that stands for "unknown", is no key.
 *
 * @since 0.1.0
 * @category models
 */
export type Key = string | number | bigint | boolean

/**
 * There is no earlier answer to serve: none was remembered, the one there is too old, or the key could not be told.
 *
 * @since 0.1.0
 * @category errors
 */
export class CacheMiss extends Failure.Rejected("CacheMiss")<{
  readonly cache: string
  readonly reason: "unknown" | "expired" | "key"
}> {
  override get message(): string {
    switch (this.reason) {
      case "unknown":
        return `${this.cache} remembers no answer for this key`
      case "expired":
        return `${this.cache} remembers an answer for this key that is too old to be served`
      case "key":
        return `${this.cache} could not tell the key of this call`
    }
  }
}

const cacheMiss = Failure.stackless(CacheMiss)

interface Entry {
  readonly value: unknown
  readonly at: number
  /** The number of the call that brought it: of two calls that overlap, the one begun later knows better. */
  readonly ticket: number
}

/** What was found. */
export interface Found {
  readonly value: unknown
  readonly age: Duration.Duration
  readonly fresh: boolean
}

/** Least recently used first: a Map keeps the order of insertion. */
export class LastGood {
  private readonly entries = new Map<Key, Entry>()
  private tickets = 0
  /** Calls up to this number began before something was forgotten: their answers would bring it back. */
  private forgotten = 0
  private readonly name: string
  private readonly key: (input: any) => unknown
  private readonly capacity: number
  private readonly freshFor: number
  private readonly serveFor: number
  private readonly fault: (part: string, defect: unknown) => void

  constructor(
    name: string,
    key: (input: any) => unknown,
    capacity: number,
    freshFor: number,
    serveFor: number,
    fault: (part: string, defect: unknown) => void
  ) {
    this.name = name
    this.key = key
    this.capacity = capacity
    this.freshFor = freshFor
    this.serveFor = serveFor
    this.fault = fault
  }

  get size(): number {
    return this.entries.size
  }

  ticket(): number {
    return ++this.tickets
  }

  /** A key that is missing must not become a key that all share: that would hand one user's answer to another. */
  keyOf(input: unknown): Key | undefined {
    let key: unknown
    try {
      key = this.key(input)
    } catch (defect) {
      this.fault(`${this.name}.key`, defect)
      return undefined
    }
    if (isKey(key)) {
      return key
    }
    const given = key === null ? "null" : typeof key
    this.fault(
      `${this.name}.key`,
      new TypeError(`a key is a text that is not empty, a number or a boolean, not ${given}`)
    )
    return undefined
  }

  remember(input: unknown, value: unknown, ticket: number, now: number): void {
    const key = this.keyOf(input)
    if (key === undefined || ticket <= this.forgotten) {
      return
    }
    const known = this.entries.get(key)
    if (known !== undefined && known.ticket > ticket) {
      return
    }
    this.entries.delete(key)
    this.entries.set(key, { value, at: now, ticket })
    if (this.entries.size > this.capacity) {
      this.entries.delete(this.entries.keys().next().value!)
    }
  }

  find(input: unknown, now: number): Exit.Exit<Found, CacheMiss> {
    const key = this.keyOf(input)
    if (key === undefined) {
      return this.miss("key")
    }
    const entry = this.entries.get(key)
    if (entry === undefined) {
      return this.miss("unknown")
    }
    const age = Math.max(0, now - entry.at)
    if (age > this.serveFor) {
      this.entries.delete(key)
      return this.miss("expired")
    }
    this.entries.delete(key)
    this.entries.set(key, entry)
    return Exit.succeed({ value: entry.value, age: Duration.millis(age), fresh: age <= this.freshFor })
  }

  forget(input: unknown): void {
    const key = this.keyOf(input)
    if (key !== undefined) {
      this.entries.delete(key)
      this.forgotten = this.tickets
    }
  }

  clear(): void {
    this.entries.clear()
    this.forgotten = this.tickets
  }

  private miss(reason: CacheMiss["reason"]): Exit.Exit<never, CacheMiss> {
    return Exit.fail(cacheMiss({ cache: this.name, reason }))
  }
}

const isKey = (key: unknown): key is Key =>
  typeof key === "string"
    ? key.length > 0
    : typeof key === "number"
    ? !Number.isNaN(key)
    : typeof key === "bigint" || typeof key === "boolean"
