/** The report of a soak: what was sent and how it ended, and each figure with its bound. At most 96 columns. */
import { asText } from "../report.js"
import type { Counts, Logged } from "./counts.js"
import type { Result } from "./run.js"

/** A figure of the end of a run. More than its bound is a violation. */
export interface Figure {
  readonly title: string
  readonly found: number
  readonly bound: number
  /** Default: a count. */
  readonly unit?: "MB" | "s"
  /** What it consists of, where it is not 0. */
  readonly detail?: string | undefined
}

export const isKept = ({ bound, found }: Figure): boolean => found <= bound

const width = 96
const shown = ({ unit }: Figure, value: number): string =>
  unit === undefined ? String(value) : `${value.toFixed(unit === "MB" ? 2 : 1)} ${unit}`

/** Words in lines of a width, each after `indent`. */
const wrapped = (words: ReadonlyArray<string>, indent: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of words) {
    const last = lines[lines.length - 1]
    if (last !== undefined && `${last}, ${word}`.length <= width) lines[lines.length - 1] = `${last}, ${word}`
    else lines.push(`${indent}${word}`.slice(0, width))
  }
  return lines
}

const loads = (counts: Counts): string => {
  const titles = [...counts.byKind.keys()]
  const first = Math.max(...titles.map(({ length }) => length))
  return titles.flatMap((title) => {
    const ends = [...counts.byKind.get(title)!].sort(([, a], [, b]) => b - a)
    const sum = ends.reduce((all, [, count]) => all + count, 0)
    const indent = " ".repeat(first + 10)
    const lines = wrapped(ends.map(([end, count]) => `${count} ${end}`), indent)
    return lines.map((line, index) =>
      index > 0 ? line : title.padEnd(first) + String(sum).padStart(8) + line.slice(first + 8)
    )
  }).join("\n")
}

const logs = ({ lines }: Logged): string =>
  [...lines].sort(([, a], [, b]) => b - a).slice(0, 12)
    .map(([line, count]) => `${String(count).padStart(8)}  ${line}`.slice(0, width)).join("\n")

const figuresText = (list: ReadonlyArray<Figure>): string =>
  asText([
    ["at the end", "found", "bound", ""],
    ...list.map((one) => [one.title, shown(one, one.found), shown(one, one.bound), isKept(one) ? "kept" : "BROKEN"])
  ]) + list.filter((one) => !isKept(one) && one.detail !== undefined).map(({ detail, title }) =>
    `\n\n${title}:\n${wrapped(detail!.split("\n"), "  ").join("\n")}`
  ).join("")

/** Some of many numbers, evenly spread. */
const some = (numbers: ReadonlyArray<number>, most: number): ReadonlyArray<number> =>
  numbers.filter((_, index) => index % Math.ceil(numbers.length / most) === 0)

/** The whole report. */
export const text = (result: Result, where: string): string => {
  const broken = result.figures.filter((one) => !isKept(one))
  const lines = logs(result.logged)
  return [
    `Soak: ${result.waves} waves of hostile load in ${result.loadSeconds.toFixed(0)} s, ${where}`,
    loads(result.counts),
    ...(lines === "" ? [] : [`logged, by first words:\n${lines}`]),
    `nothing more was given back after ${result.settleSeconds.toFixed(1)} s; heap after gc, in MB:\n` +
    some(result.heap, 16).map((size) => size.toFixed(1)).join(" "),
    figuresText(result.figures),
    broken.length === 0 ? "Every bound is kept." : `${broken.length} of ${result.figures.length} bounds are broken.`
  ].join("\n\n")
}
