/** An action for operation sweeps. */
import type * as Alarm from "@holdfast/core/Alarm"

interface Heap {
  readonly heap: Array<Alarm.Entry>
}

/** Rings the alarm that is due first, as if its time had come. */
export const ring = ({ alarms }: { readonly alarms: Alarm.Alarms }): void => {
  const entry = (alarms as unknown as Heap).heap[0]
  if (entry !== undefined) {
    alarms.cancel(entry)
    entry.ring(0)
  }
}
