/**
 * `npm run test:busy`: every test that uses sockets, processes or real time, beside three processes that use all the processor time they
 * get. A test that passes only on a quiet machine fails here. Arguments go to vitest. The busy processes end with this one, however it
 * ends.
 */
import { spawn } from "node:child_process"
import { constants } from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { realTimeTests } from "./RealTime.js"

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..")
const busyProcesses = 3

// One that loses its parent ends by itself: no signal handler runs when the parent is killed.
const busy = Array.from(
  { length: busyProcesses },
  () => spawn(process.execPath, ["-e", `while (process.ppid === ${process.pid});`], { stdio: "ignore" })
)
process.on("exit", () => {
  for (const one of busy) one.kill("SIGKILL")
})

const files = [...realTimeTests(root).keys()]
console.log(
  `${files.length} test files that use sockets, processes or real time, beside ${busyProcesses} busy processes\n`
)

// The directory before each name: vitest takes a file name for a part of a path.
const began = Date.now()
const tests = spawn(
  process.execPath,
  ["node_modules/vitest/vitest.mjs", "run", ...files.map((file) => path.join(root, file)), ...process.argv.slice(2)],
  { cwd: root, stdio: "inherit" }
)

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    // The tests close what they opened first; this process ends when they have.
    tests.kill(signal)
    process.exitCode = 128 + constants.signals[signal]
  })
}

tests.on("error", (error) => {
  console.error(error.message)
  process.exit(1)
})
tests.on("exit", (code, signal) => {
  console.log(`beside ${busyProcesses} busy processes, in ${Math.round((Date.now() - began) / 1000)} s`)
  process.exit(process.exitCode ?? code ?? (signal === null ? 1 : 128 + constants.signals[signal]))
})
