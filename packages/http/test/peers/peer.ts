/** Real servers and load generators as processes of their own: found, started on a free port, stopped by their process. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { closedPort } from "../support/servers.js"

export const here = Path.dirname(fileURLToPath(import.meta.url))

// Debian keeps servers where only root looks by default.
const folders = [...(process.env.PATH ?? "").split(Path.delimiter), "/usr/sbin", "/usr/local/sbin"]

const find = (binary: string): string | undefined =>
  folders.map((folder) => Path.join(folder, binary)).find((file) => {
    try {
      Fs.accessSync(file, Fs.constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/** `HOLDFAST_REQUIRE_PEERS=1`: a suite that cannot run is a failure. */
const required = (process.env.HOLDFAST_REQUIRE_PEERS ?? "") !== ""

/**
 * A suite that needs programs. Where one is missing its title says which, for the reporter, and it is skipped. Its tests run at once, since most of their time is
 * waiting; `"sequential"` is for those that load the machine or count what all share.
 */
export const describeWith = (
  binaries: ReadonlyArray<string>,
  title: string,
  order: "concurrent" | "sequential",
  body: () => void
): void => {
  const missing = binaries.filter((binary) => find(binary) === undefined).join(" and ")
  if (missing === "") {
    describe[order](title, body)
  } else if (required) {
    describe(title, () => {
      it(`needs ${missing}`, () =>
        assert.fail(`${missing} is not installed, and HOLDFAST_REQUIRE_PEERS forbids to skip`))
    })
  } else {
    describe.skip(`${title} (${missing} is not installed)`, body)
  }
}

// A worker that is ended in the middle of a test runs no finalizer.
const running = new Set<ChildProcess.ChildProcess>()
process.on("exit", () => {
  for (const child of running) {
    child.kill("SIGKILL")
  }
})

export interface Running {
  readonly process: ChildProcess.ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  /** The end of the process: its code, or `null` when a signal ended it. */
  readonly exited: Promise<number | null>
}

/** Waits for a condition, at most so long. */
export const until = (
  what: string,
  condition: () => boolean | Promise<boolean>,
  millis = 25_000
): Effect.Effect<void> =>
  Effect.promise(async () => {
    const end = performance.now() + millis
    while (!(await condition())) {
      if (performance.now() > end) {
        throw new Error(`gave up after ${millis} ms: ${what}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })

/** A process that ends with the scope, politely if it can. */
export const run = (
  binary: string,
  args: ReadonlyArray<string>
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync((): Running => {
      const child = ChildProcess.spawn(find(binary) ?? binary, args, { stdio: ["ignore", "pipe", "pipe"] })
      running.add(child)
      let stdout = ""
      let stderr = ""
      child.stdout.setEncoding("utf8").on("data", (part: string) => {
        stdout += part
      })
      child.stderr.setEncoding("utf8").on("data", (part: string) => {
        stderr += part
      })
      const exited = new Promise<number | null>((resolve) => {
        child.on("error", (error) => {
          stderr += error.message
          resolve(-1)
        })
        // `close`, and not `exit`: all output is there then.
        child.on("close", (code) => resolve(code))
      })
      void exited.then(() => running.delete(child))
      return { process: child, stdout: () => stdout, stderr: () => stderr, exited }
    }),
    ({ exited, process: child }) =>
      Effect.promise(async () => {
        const killer = setTimeout(() => child.kill("SIGKILL"), 2000)
        child.kill("SIGTERM")
        await exited
        clearTimeout(killer)
      })
  )

/** A folder that goes with the scope. */
const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "holdfast-peer-"))),
  (directory) => Effect.sync(() => Fs.rmSync(directory, { recursive: true, force: true }))
)

export interface Peer extends Running {
  readonly url: string
  readonly directory: string
}

/**
 * Starts a server: `files` are copied into a folder of its own with `@NAME@` replaced. A free port may be gone when the server asks for
 * it: then another one is tried.
 */
export const start = (
  binary: string,
  files: ReadonlyArray<string>,
  values: Readonly<Record<string, string | number>>,
  args: (directory: string) => ReadonlyArray<string>,
  ready: (directory: string) => boolean | Promise<boolean>
): Effect.Effect<Peer, never, Scope.Scope> => {
  const attempt = (left: number): Effect.Effect<Peer, never, Scope.Scope> =>
    Effect.gen(function*() {
      const directory = yield* folder
      const port = yield* closedPort
      const all: Record<string, string | number> = { ...values, DIRECTORY: directory, PORT: port }
      for (const file of files) {
        const text = Fs.readFileSync(Path.join(here, file), "utf8")
        const filled = text.replace(/@([A-Z]+)@/g, (mark, name: string) => String(all[name] ?? mark))
        Fs.writeFileSync(Path.join(directory, file), filled)
      }
      const server = yield* run(binary, args(directory))
      let ended = false
      void server.exited.then(() => {
        ended = true
      })
      // The server's own word, and not a connection to the port: that would be counted, and somebody else might answer.
      yield* until(`${binary} listens on ${port}`, async () => ended || (await ready(directory)))
      if (ended) {
        if (left === 0 || !/bind|address already in use/i.test(server.stderr())) {
          return yield* Effect.dieMessage(`${binary} did not start: ${server.stderr()}`)
        }
        return yield* attempt(left - 1)
      }
      return { ...server, url: `http://127.0.0.1:${port}`, directory }
    })
  return attempt(4)
}
