/**
 * What the three services of the cascade write down, and the drawing of it.
 */
import * as Effect from "effect/Effect"

interface Span {
  readonly service: string
  readonly user: string
  readonly from: number
  to: number
}

export interface Journal {
  /** Writes down from when to when a worker of this service was busy for this user. */
  readonly worker: <A, E>(service: string, user: string, work: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** One piece of work of C is done for this user. */
  readonly piece: (user: string) => void
  readonly pieces: () => number
  /** Pieces that were done after A had answered the user they were done for. */
  readonly piecesInVain: () => number
  readonly requests: (service: string) => number
  readonly workerSeconds: (service: string) => number
  /** Waits until no worker is busy any more. */
  readonly quiet: Effect.Effect<void>
  readonly forget: () => void
  /** From the first request to the end of all work. */
  readonly lengthMillis: () => number
  /** The request of one user, so many milliseconds to a character. */
  readonly draw: (user: string, millis: number) => string
}

export const makeJournal = (): Journal => {
  const spans: Array<Span> = []
  const pieces: Array<{ readonly user: string; readonly at: number }> = []
  let busy = 0
  const of = (service: string) => spans.filter((span) => span.service === service)
  const answeredAt = (user: string) => of("A").find((span) => span.user === user)!.to

  return {
    worker: (service, user, work) =>
      Effect.suspend(() => {
        const span: Span = { service, user, from: performance.now(), to: Infinity }
        spans.push(span)
        busy++
        return Effect.ensuring(
          work,
          Effect.sync(() => {
            busy--
            span.to = performance.now()
          })
        )
      }),
    piece: (user) => pieces.push({ user, at: performance.now() }),
    pieces: () => pieces.length,
    piecesInVain: () => pieces.filter(({ at, user }) => at > answeredAt(user)).length,
    requests: (service) => of(service).length,
    workerSeconds: (service) => of(service).reduce((sum, { from, to }) => sum + (to - from) / 1000, 0),
    quiet: Effect.whileLoop({ while: () => busy > 0, body: () => Effect.sleep("20 millis"), step: () => {} }),
    forget: () => {
      spans.length = 0
      pieces.length = 0
    },
    lengthMillis: () => Math.max(...spans.map(({ to }) => to)) - Math.min(...spans.map(({ from }) => from)),
    draw: (user, millis) => {
      const own = spans.filter((span) => span.user === user)
      const begin = Math.min(...own.map(({ from }) => from))
      const columnOf = (at: number) => Math.round((at - begin) / millis)
      const answered = columnOf(answeredAt(user))
      return ["A", "B", "C"].map((service) => {
        const characters: Array<string> = []
        for (const { from, to } of own.filter((span) => span.service === service)) {
          for (let column = columnOf(from); column < columnOf(to); column++) {
            characters[column] = column < answered ? "█" : "░"
          }
        }
        return `  ${service} |${Array.from(characters, (character) => character ?? " ").join("")}`
      }).join("\n")
    }
  }
}
