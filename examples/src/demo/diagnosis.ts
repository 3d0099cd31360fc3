/**
 * What the live figures of a run say was wrong with its defences, and why: the same question that is asked of a service in production.
 */
import * as Diagnosis from "@holdfast/core/Diagnosis"
import * as Figures from "@holdfast/core/Figures"
import type * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Effect from "effect/Effect"
import { foldLines } from "../drawing.js"
import type { HttpClients } from "./clients.js"
import type { Paint } from "./report.js"
import type { RunResult } from "./run.js"
import type { ScaledClock } from "./scenario.js"

/** The clients with an eye on them. A retry that retries nothing protects from nothing: it is there to be listened to. */
export const watched = ({ inventory, notification, payment }: HttpClients): HttpClients => {
  const watch = (dependency: string, operation: string, criticality: "important" | "optional") =>
    HttpResilience.withPolicy(Retry.make({ maxRetries: 0, dependency }), {
      operation: () => operation,
      facts: () => ({ criticality })
    })
  return {
    payment: watch("payment", "POST /charges", "important")(payment),
    inventory: watch("inventory", "POST /reservations", "important")(inventory),
    notification: watch("notification", "POST /mails", "optional")(notification)
  }
}

/** Figures that can begin anew, as the journal does, and what they show when the day is over. */
export const makeDiagnosis = ({ seconds }: ScaledClock) => {
  const begin = Figures.make({ slowerThan: seconds(5) })
  return Effect.map(begin, (first) => {
    let figures = first
    return {
      listener: ((event) => figures.listener(event)) as ResilienceEvent.Listener,
      forget: Effect.map(begin, (next) => {
        figures = next
      }),
      // What is promised, and how long is long, in seconds of that Tuesday.
      read: Effect.map(
        Effect.suspend(() => figures.snapshot),
        (snapshot) => Diagnosis.fromSnapshot(snapshot, { sla: seconds(15), sustained: seconds(300), blip: seconds(10) })
      )
    }
  })
}

/** Both diagnoses for a reader. */
export const diagnosisText = (unprotected: RunResult, guarded: RunResult, paint: Paint): string =>
  ([["unprotected", unprotected], ["protected", guarded]] as const).map(([name, { diagnosis }]) =>
    `${paint.bold(`Diagnosis of the ${name} service, from its live figures`)}\n${
      foldLines(Diagnosis.format(diagnosis), 11)
    }`
  ).join("\n")
