/**
 * The regression guard: bytes per call, and time in units of `Effect.onExit`, against a baseline that is kept in the repository. Never
 * absolute times.
 *
 * What lost more than its share is measured again, in fresh processes, and the median of all measurements decides.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { figure, type Figures, type Result, type Settings } from "./Group.js"
import { group, stores } from "./groups/guard.js"
import { runOnce } from "./process.js"
import { asText } from "./report.js"
import { median } from "./statistics.js"

const settings: Settings = { rounds: 15, roundMillis: 8, warmUp: 10_000 }

/** Measurements, the first one included, before a loss is believed. */
const measurements = 5

/** How much more than in the baseline a figure may be. */
const allowed = { bytes: 1.1, time: 1.25 }

type Kind = keyof typeof allowed

const kinds: ReadonlyArray<Kind> = ["bytes", "time"]

type Measured = Readonly<Record<Kind, Figures>>

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))

/** The last part of a title says in which style a contender runs; the unit is the one of the same style. */
const unitOf = (title: string): string => {
  const style = ["asynchronous", "two stores"].find((one) => title.endsWith(one))
  return style === undefined ? "onExit" : `onExit, ${style}`
}

const read = (result: Result, name: string): Measured => {
  const micros = (title: string) => figure(result, name, title, "micros")
  const titles = Object.keys(result[name]!)
  return {
    bytes: Object.fromEntries(titles.map((title) => [title, figure(result, name, title, "bytes")])),
    time: Object.fromEntries(titles.map((title) => [title, micros(title) / micros(unitOf(title))]))
  }
}

/** What Holdfast is not part of is printed, and held to nothing. */
const isOurs = (title: string): boolean => !title.startsWith("bare") && !title.startsWith("onExit")

const file = new URL("../baseline.json", import.meta.url)
const baselines = JSON.parse(readFileSync(file, "utf8")) as Record<string, Measured>
const major = process.version.slice(1).split(".")[0]!
const { values: options } = parseArgs({ options: { update: { type: "boolean", default: false } } })

const measured: Array<Measured> = []
const measureOnce = async (): Promise<void> => {
  const plain = read(await runOnce(group.name, settings), group.name)
  const inStores = read(await runOnce(stores.name, settings), stores.name)
  measured.push({ bytes: { ...plain.bytes, ...inStores.bytes }, time: { ...plain.time, ...inStores.time } })
}
const now = (kind: Kind, title: string): number => median(measured.map((one) => one[kind][title]!))

await measureOnce()

if (options.update) {
  while (measured.length < measurements) {
    await measureOnce()
  }
  const digits = { bytes: 0, time: 2 }
  const medians = Object.fromEntries(kinds.map((kind) => [
    kind,
    Object.fromEntries(
      Object.keys(measured[0]![kind]).map((title) => [title, rounded(now(kind, title), digits[kind])])
    )
  ]))
  writeFileSync(file, `${JSON.stringify({ ...baselines, [major]: medians }, undefined, 2)}\n`)
  console.log(`The baseline of Node ${major} is written: medians of ${measurements} processes.`)
  process.exit(0)
}

/** Another version of Node allocates a little differently: it is held to the nearest one that was measured. */
const nearest = Object.keys(baselines).reduce((one, other) =>
  Math.abs(Number(other) - Number(major)) < Math.abs(Number(one) - Number(major)) ? other : one
)
const baseline = baselines[nearest]!

interface Loss {
  readonly title: string
  readonly kind: Kind
}

const losses = (): ReadonlyArray<Loss> =>
  kinds.flatMap((kind) =>
    Object.keys(baseline[kind])
      .filter((title) => isOurs(title) && now(kind, title) > baseline[kind][title]! * allowed[kind])
      .map((title) => ({ title, kind }))
  )

while (losses().length > 0 && measured.length < measurements) {
  console.log(
    `above the baseline, measured again: ${losses().map(({ kind, title }) => `${title} (${kind})`).join("; ")}`
  )
  await measureOnce()
}

const shareText = (kind: Kind, title: string): string => {
  const percent = Math.round((now(kind, title) / baseline[kind][title]! - 1) * 100)
  return `${percent > 0 ? "+" : ""}${percent} %`
}

console.log(`Node ${process.version} against the baseline of Node ${nearest}, median of ${measured.length}`)
console.log(asText([
  ["", "bytes", "baseline", "", "time in onExit", "baseline", ""],
  ...Object.keys(baseline.bytes).map((title) => [
    title,
    String(Math.round(now("bytes", title))),
    String(baseline.bytes[title]),
    shareText("bytes", title),
    now("time", title).toFixed(2),
    baseline.time[title]!.toFixed(2),
    shareText("time", title)
  ])
]))

const found = losses()
for (const { kind, title } of found) {
  const unit = kind === "bytes" ? "bytes" : "times an onExit"
  console.error(
    `${title}: ${rounded(now(kind, title), 2)} ${unit} a call, more than ${
      Math.round((allowed[kind] - 1) * 100)
    } % above ` +
      `${baseline[kind][title]}, in the median of ${measured.length} processes`
  )
}
if (found.length > 0) {
  console.error("If that is meant: npm run bench:guard -- --update")
}
process.exit(found.length > 0 ? 1 : 0)
