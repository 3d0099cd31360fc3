/**
 * Tables out of results, as text and as Markdown.
 */
import type { Group, Result } from "./Group.js"
import { spread } from "./statistics.js"
import type { Judged, Runs } from "./targets.js"

export type Table = ReadonlyArray<ReadonlyArray<string>>

/** Columns of equal width; the first one to the left, the others to the right. */
export const asText = (table: Table): string => {
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)))
  return table.map((row) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)).join("  ")
  ).join("\n")
}

export const asMarkdown = ([head, ...rows]: Table): string => {
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  return [line(head!), line(head!.map((_, column) => column === 0 ? "---" : "---:")), ...rows.map(line)].join("\n")
}

const number = (value: number, digits: number): string =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })

const cellOf = (runs: Runs, bench: string, contender: string, key: string, digits: number): string => {
  const values = runs.flatMap((result) => result[bench]?.[contender]?.[key] ?? [])
  return values.length === 0 ? "" : number(spread(values).median, digits)
}

/** The benches of one group, each with its table: medians over the processes. */
export const tablesOf = (group: Group, runs: Runs): ReadonlyArray<readonly [bench: string, table: Table]> => {
  const first: Result = runs[0]!
  return Object.entries(first).map(([bench, contenders]) => [
    bench,
    [
      ["contender", ...group.columns.map(({ title }) => title)],
      ...Object.keys(contenders).map((contender) => [
        contender,
        ...group.columns.map(({ digits, key }) => cellOf(runs, bench, contender, key, digits))
      ])
    ]
  ])
}

/** Three figures that count, whatever the size: 0.031, 0.45, 1.6, 1,234. */
const ratioText = (value: number): string => number(value, value < 0.1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0)

const valueText = (unit: Judged["unit"]) => (value: number): string =>
  unit === "bytes" ? `${number(value, 0)} B` : ratioText(value)

/** A limit as it was set: a small one is a share, 1/12. */
const limitText = (unit: Judged["unit"], limit: number): string => {
  const inverse = 1 / limit
  return unit === "ratio" && limit < 0.15 && Math.abs(inverse - Math.round(inverse)) < 1e-9 && limit !== 0.1
    ? `1/${Math.round(inverse)}`
    : valueText(unit)(limit)
}

export const targetsTable = (rows: ReadonlyArray<Judged>): Table => [
  ["figure", "target", "stretch", "measured", "min - max", ""],
  ...rows.map(({ atMost, figure, measured, stretch, target, unit, verdict }) => {
    const show = valueText(unit)
    const sign = atMost === false ? ">= " : "<= "
    return [
      figure,
      target === undefined ? "" : sign + limitText(unit, target),
      stretch === undefined ? "" : limitText(unit, stretch),
      show(measured.median),
      `${show(measured.min)} - ${show(measured.max)}`,
      verdict ?? ""
    ]
  })
]
