/**
 * `npm run soak`: the whole server arrangement and protected clients under mixed hostile load on the loopback, in one process. At the end
 * nothing may be held, and the heap may not have grown. `--seconds 600`, `--seed 1`, `--only "^HEAD"`: the kinds of load whose names match.
 */
import { parseArgs } from "node:util"
import * as v8 from "node:v8"
import * as Report from "./report.js"
import { soak } from "./run.js"

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    seed: { type: "string", default: "1" },
    only: { type: "string", default: "" }
  }
})
const seconds = Number(values.seconds)
if (!(seconds >= 5) || (globalThis as { gc?: unknown }).gc === undefined) {
  console.error(`soak: --seconds is ${values.seconds}, allowed is 5 or more; node needs --expose-gc`)
  process.exit(2)
}
// What V8 notes of the types of a function is as large at its first call as ever: else code that is learned would look like a leak.
v8.setFlagsFromString("--no-lazy-feedback-allocation")
v8.setFlagsFromString("--no-flush-bytecode")

soak({ seconds, seed: Number(values.seed), only: new RegExp(values.only) }).then(
  (result) => {
    console.log(Report.text(result, `Node ${process.versions.node}, seed ${values.seed}`))
    process.exit(result.figures.every(Report.isKept) ? 0 : 1)
  },
  (error: unknown) => {
    console.error(error)
    process.exit(2)
  }
)
