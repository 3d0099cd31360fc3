/**
 * Draws the storms, one above the other on the same scale, and the figures below.
 */
import { columns, count, table } from "../drawing.js"
import { peak, perSlot, type Storm, type Story } from "./story.js"

const height = 6

/** One character is a second wide, and as high as the busiest slot in it. */
const chart = (storm: Storm, slotSeconds: number, largest: number): string => {
  const slots = perSlot(storm.arrivals, slotSeconds)
  const perSecond = Math.round(1 / slotSeconds)
  const busiest = Array.from(
    { length: Math.ceil(slots.length / perSecond) },
    (_, second) => Math.max(...slots.slice(second * perSecond, (second + 1) * perSecond))
  )
  const lines = columns(busiest, largest, height)
  return lines.map((line, index) => `${(index === 0 ? count(largest) : "").padStart(7)} |${line}`).join("\n")
}

export const draw = (storms: ReadonlyArray<Storm>, story: Story, slotSeconds: number): string => {
  const largest = Math.max(...storms.map((storm) => peak(storm, slotSeconds)))
  const end = Math.ceil(Math.max(...storms.map(({ overAfter }) => overAfter)) / 10) * 10
  const ticks = Array.from({ length: end / 10 + 1 }, (_, index) => `${index * 10} s`.padEnd(10)).join("").trimEnd()
  const axis = `${" ".repeat(7)} +${"-".repeat(end)}\n${" ".repeat(9)}${ticks}`
  const slot = `${slotSeconds * 1000} ms`
  return [
    `Retries that arrive at the server within ${slot}; it can do ${count(story.capacityPerSecond * slotSeconds)}`,
    ...storms.map((storm) => `\n${storm.name}\n${chart(storm, slotSeconds, largest)}\n${axis}`),
    "",
    table([
      ["", "peak", "requests", "over after", "answered", "gave up"],
      ...storms.map((storm) => [
        storm.name,
        count(peak(storm, slotSeconds)),
        count(storm.arrivals.length),
        `${storm.overAfter.toFixed(1)} s`,
        count(storm.answered),
        count(storm.gaveUp)
      ])
    ])
  ].join("\n")
}
