/** The programs of Prometheus: found, run, or said to be missing. */
import { assert, describe, it } from "@effect/vitest"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

const folders = (process.env.PATH ?? "").split(Path.delimiter)

const find = (binary: string): string | undefined =>
  folders.map((folder) => Path.join(folder, binary)).find((file) => {
    try {
      Fs.accessSync(file, Fs.constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/** A suite that needs a program. Where it is missing its title says so, for the reporter, and it is skipped, unless `HOLDFAST_REQUIRE_PEERS` forbids it. */
export const describeWith = (binary: string, title: string, body: () => void): void => {
  if (find(binary) !== undefined) {
    describe(title, body)
  } else if ((process.env.HOLDFAST_REQUIRE_PEERS ?? "") !== "") {
    describe(title, () => {
      it(`needs ${binary}`, () => assert.fail(`${binary} is not installed, and HOLDFAST_REQUIRE_PEERS forbids to skip`))
    })
  } else {
    describe.skip(`${title} (${binary} is not installed)`, body)
  }
}

export interface Ended {
  readonly code: number
  readonly output: string
}

/** Runs `promtool` to its end. */
export const promtool = (args: ReadonlyArray<string>, input = ""): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = ChildProcess.execFile("promtool", args, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      if (typeof code === "number") {
        resolve({ code, output: stdout + stderr })
      } else {
        reject(error)
      }
    })
    child.stdin!.end(input)
  })
