/**
 * A real Redis on loopback that can be killed and started again on the same port, with what it knew.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"

/** There is no `redis-server` on this machine. */
export class NoRedis extends Data.TaggedError("NoRedis")<{}> {
  override get message(): string {
    return "This example needs redis-server; on Debian: apt-get install redis-server"
  }
}

export interface RedisServer {
  readonly port: number
  /** Until it accepts connections. */
  readonly start: Effect.Effect<void, NoRedis>
  /** As a power cut would: nothing is said to its clients. */
  readonly kill: Effect.Effect<void>
}

const freePort = Effect.async<number>((resume) => {
  const probe = Net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = probe.address() as Net.AddressInfo
    probe.close(() => resume(Effect.succeed(port)))
  })
})

// A process that is ended in the middle of the example runs no finalizer.
const running = new Set<ChildProcess.ChildProcess>()
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")))

/** Started, and killed with the scope. */
export const redisServer: Effect.Effect<RedisServer, NoRedis, Scope.Scope> = Effect.gen(function*() {
  const port = yield* freePort
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "holdfast-redis-"))),
    (made) => Effect.sync(() => Fs.rmSync(made, { recursive: true, force: true }))
  )
  // Written to disk at every command: a session must outlive the server's death.
  const options = ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--save", ""]
  const durable = ["--appendonly", "yes", "--appendfsync", "always"]
  let child: ChildProcess.ChildProcess | undefined

  const start = Effect.async<void, NoRedis>((resume) => {
    const started = ChildProcess.spawn("redis-server", [...options, ...durable], {
      stdio: ["ignore", "pipe", "ignore"]
    })
    running.add(started)
    child = started
    started.on("error", () => resume(Effect.fail(new NoRedis())))
    started.on("exit", () => running.delete(started))
    let said = ""
    started.stdout.setEncoding("utf8").on("data", (part: string) => {
      said += part
      if (said.includes("Ready to accept connections")) {
        resume(Effect.void)
      }
    })
  })
  const kill = Effect.async<void>((resume) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
      return resume(Effect.void)
    }
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

  yield* Effect.addFinalizer(() => kill)
  yield* start
  return { port, start, kill }
})
