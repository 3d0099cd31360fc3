/**
 * The line that shows a run while it goes on: redrawn in place on a terminal, a line every few seconds elsewhere.
 */
import * as Effect from "effect/Effect"
import type { Paint } from "./report.js"
import { clockTime } from "./report.js"
import type { LiveView } from "./run.js"
import { paymentIsSlow } from "./scenario.js"

const lineOf = ({ clock, journal, scenario, sent, variant }: LiveView, paint: Paint): string => {
  const now = clock.now()
  const failed = journal.samples.filter(({ result }) => result === "failed").length
  const reading = journal.readings.at(-1)
  const busy = reading?.busy ?? 0
  const queued = reading?.queued ?? 0
  const workers = `${String(busy).padStart(2)}/${scenario.service.workers} busy${
    queued === 0 ? "" : `, ${queued} queued`
  }`
  return [
    paint.bold(variant.padEnd(11)),
    clockTime(scenario, now),
    paymentIsSlow(scenario, now) ? paint.yellow("payment SLOW") : "payment well",
    busy >= scenario.service.workers ? paint.red(workers) : workers,
    `${sent()} orders`,
    failed > 0 ? paint.red(`${failed} failed`) : "0 failed",
    ...reading?.breaker === undefined ? [] : [reading.breaker, `${reading.pending} pending`]
  ].join("  ")
}

/** Shows a run until it is interrupted. */
export const showProgress = (
  output: NodeJS.WriteStream,
  paint: Paint
) =>
(view: LiveView): Effect.Effect<void> => {
  const inPlace = output.isTTY === true
  const show = Effect.sync(() => {
    output.write(inPlace ? `\r\u001b[2K${lineOf(view, paint)}` : `${lineOf(view, paint)}\n`)
  })
  return Effect.forever(Effect.zipRight(Effect.sleep(inPlace ? 200 : 3000), show)).pipe(
    Effect.ensuring(Effect.sync(() => {
      output.write(inPlace ? "\r\u001b[2K" : "")
    }))
  )
}
