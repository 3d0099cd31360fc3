/** An action for operation sweeps and scripts. */
import type * as Alarm from "@holdfast/core/Alarm"

interface Heap {
  readonly heap: Array<Alarm.Entry>
}

/** Rings the alarm that is due first, as if its time had come; says whether there was one. */
export const ring = ({ alarms }: { readonly alarms: Alarm.Alarms }): boolean => {
  const entry = (alarms as unknown as Heap).heap[0]
  if (entry === undefined) return false
  alarms.cancel(entry)
  entry.ring(0)
  return true
}
