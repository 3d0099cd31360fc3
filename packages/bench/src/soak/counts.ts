/** What was sent and how it ended, by kind of load; and what was logged. Both are bounded, so that counting is no leak. */
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"

export class Counts {
  readonly byKind = new Map<string, Map<string, number>>()

  add(kind: string, end: string): void {
    const ends = this.byKind.get(kind) ?? new Map<string, number>()
    this.byKind.set(kind, ends)
    ends.set(end, (ends.get(end) ?? 0) + 1)
  }

  total(end: string): number {
    let sum = 0
    for (const ends of this.byKind.values()) sum += ends.get(end) ?? 0
    return sum
  }
}

/** At most so many different lines are counted. */
const mostLines = 200

/** Warnings and errors that were logged: how often each, by its first words. */
export class Logged {
  readonly lines = new Map<string, number>()

  readonly logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    if (LogLevel.lessThan(logLevel, LogLevel.Warning)) return
    const text = (Array.isArray(message) ? message : [message]).map(String).join(" ")
    const line = `${logLevel.label} ${text.replace(/\d+/g, "n").slice(0, 70)}`
    if (this.lines.has(line) || this.lines.size < mostLines) this.lines.set(line, (this.lines.get(line) ?? 0) + 1)
  })
}
