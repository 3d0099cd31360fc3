/**
 * Every group in three processes each, or in one where more say nothing new, one after the other; medians, the table of what must be reached,
 * and all of it as JSON.
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import type { Result, Settings } from "./Group.js"
import { groups } from "./groups.js"
import { runOnce } from "./process.js"
import { asMarkdown, asText, tablesOf, targetsTable } from "./report.js"
import { judge, type Runs } from "./targets.js"

const usage =
  `usage: npm run bench -- [--group NAME]... [--json FILE] [--rounds N] [--processes N] [--warm-up N] [--markdown]
groups: ${groups.map(({ name }) => name).join(", ")}`

const stop = (message: string): never => {
  console.error(`${message}\n${usage}`)
  process.exit(2)
}

const options = (() => {
  try {
    return parseArgs({
      options: {
        group: { type: "string", multiple: true, default: groups.map(({ name }) => name) },
        rounds: { type: "string", default: "7" },
        processes: { type: "string", default: "3" },
        "warm-up": { type: "string", default: "20000" },
        json: { type: "string" },
        markdown: { type: "boolean", default: false }
      }
    }).values
  } catch (error) {
    return stop((error as Error).message)
  }
})()

const whole = (field: "rounds" | "processes" | "warm-up"): number => {
  const value = Number(options[field])
  return Number.isInteger(value) && value > 0
    ? value
    : stop(`--${field} must be a whole number above 0, not ${options[field]}`)
}

const asTable = options.markdown ? asMarkdown : asText
const chosen = options.group.map((name) =>
  groups.find((group) => group.name === name) ?? stop(`there is no group ${name}`)
)
const settings: Settings = { rounds: whole("rounds"), roundMillis: 15, warmUp: whole("warm-up") }
const processes = whole("processes")

const began = performance.now()
const runs = new Map<string, Runs>()
console.log(`Node ${process.version}, ${processes} processes a group, ${settings.rounds} rounds; medians`)
for (const group of chosen) {
  const results: Array<Result> = []
  for (let made = 0; made < (group.once === true ? 1 : processes); made++) {
    results.push(await runOnce(group.name, settings))
  }
  runs.set(group.name, results)
  console.log(`\n${group.name}: ${group.title}`)
  for (const [bench, table] of tablesOf(group, results)) {
    console.log(`\n${bench}\n${asTable(table)}`)
  }
}
const judged = judge(runs)
const seconds = Math.round((performance.now() - began) / 1000)
console.log(`\nO(x) is the median of x less the median of the bare operation in the same style.\n`)
console.log(asTable(targetsTable(judged)))
console.log(`\n${seconds} seconds`)

if (options.json !== undefined) {
  const whole = {
    node: process.version,
    ...settings,
    processes,
    seconds,
    targets: judged,
    groups: Object.fromEntries(runs)
  }
  writeFileSync(options.json, `${JSON.stringify(whole, undefined, 2)}\n`)
}
