import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

/** Runs a program in a process of its own and tells how it ended and what it said. */
export const runProcess = (name: string): Promise<{ readonly code: number | null; readonly output: string }> =>
  new Promise((resolve, reject) => {
    const program = fileURLToPath(new URL(`../live/programs/${name}.ts`, import.meta.url))
    const child = spawn(process.execPath, ["--expose-gc", "--import", "tsx", program], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    const listen = (chunk: Buffer) => {
      output += chunk.toString()
    }
    child.stdout.on("data", listen)
    child.stderr.on("data", listen)
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, output }))
  })
