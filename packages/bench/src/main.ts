/**
 * `npm run bench -- --group spine [--rounds 21] [--calls 10000] [--json FILE]`
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { type Figures, measure } from "./measure.js"
import * as spine from "./spine.js"

const usage = "usage: npm run bench -- --group spine [--rounds N] [--calls N] [--json FILE]"

const stop = (message: string): never => {
  console.error(`${message}\n${usage}`)
  process.exit(2)
}

const options = (() => {
  try {
    return parseArgs({
      options: {
        group: { type: "string", default: "spine" },
        rounds: { type: "string", default: "21" },
        calls: { type: "string", default: "10000" },
        json: { type: "string" }
      }
    }).values
  } catch (error) {
    return stop((error as Error).message)
  }
})()

const whole = (field: "rounds" | "calls"): number => {
  const value = Number(options[field])
  return Number.isInteger(value) && value > 0
    ? value
    : stop(`--${field} must be a whole number above 0, not ${options[field]}`)
}

if (options.group !== "spine") {
  stop(`no group ${options.group}; there is: spine`)
}

const settings = { rounds: whole("rounds"), calls: whole("calls"), warmUp: 20_000 }
const result: Record<string, unknown> = { node: process.version, ...settings }

for (const style of spine.styles) {
  const figures = await measure(spine.contenders(style), settings)
  const overhead = (title: string): Figures => {
    const one = figures.get(title)!
    const bare = figures.get(title.startsWith("cockatiel") ? "bare promise" : "bare effect")!
    return { micros: one.micros - bare.micros, bytes: one.bytes - bare.bytes }
  }
  const ours = overhead("holdfast")
  console.log(`\n${style.title}: overhead over the bare operation, per call`)
  console.log("contender                        us        bytes   holdfast / it   bytes")
  const rows: Record<string, unknown> = {}
  for (const title of [...figures.keys()].filter((one) => !one.startsWith("bare"))) {
    const over = overhead(title)
    const ratio = ours.micros / over.micros
    const byteRatio = ours.bytes / over.bytes
    rows[title] = { ...over, ratio, byteRatio }
    const compared = title === "holdfast"
    console.log(
      `${title.padEnd(30)} ${over.micros.toFixed(2).padStart(6)} ${over.bytes.toFixed(0).padStart(10)}` +
        (compared ? "" : `   ${ratio.toFixed(3).padStart(10)} ${byteRatio.toFixed(3).padStart(11)}`)
    )
  }
  result[style.title] = rows
}

if (options.json !== undefined) {
  writeFileSync(options.json, `${JSON.stringify(result, undefined, 2)}\n`)
}
