/** HAProxy in front of an origin, with what it has seen. */
import { Effect, type Scope } from "effect"
import * as Net from "node:net"
import { type Peer, start } from "./peer.js"

/** One request as the upstream saw it: an attempt, wherever it ended. `-` and the empty text mean: no such header. */
export interface Arrived {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly call: string
  readonly key: string
  readonly attempt: string
}

export interface Haproxy extends Peer {
  /** Requests that have ended, by HAProxy's own log. */
  readonly arrived: () => ReadonlyArray<Arrived>
  /** Requests that ever came, those that go on among them, and those that were thrown away. */
  readonly counts: Effect.Effect<{ readonly requests: number; readonly connections: number; readonly dropped: number }>
  /** Requests that go on now. */
  readonly open: Effect.Effect<number>
}

const request = (directory: string, command: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let answer = ""
    const socket = Net.connect(`${directory}/stats.sock`, () => socket.write(`${command}\n`))
    socket.setTimeout(20_000, () => socket.destroy(new Error(`HAProxy did not answer ${command}`)))
    socket.on("data", (part) => {
      answer += part.toString()
    })
    socket.on("error", reject)
    socket.on("end", () => resolve(answer))
  })

const ask = (directory: string, command: string): Effect.Effect<string> =>
  Effect.promise(() => request(directory, command))

const lines = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")

export const haproxy = (originUrl: string): Effect.Effect<Haproxy, never, Scope.Scope> =>
  Effect.gen(function*() {
    const peer = yield* start(
      "haproxy",
      ["haproxy.conf", "haproxy.lua"],
      {
        ORIGIN: new URL(originUrl).port,
        USER: process.getuid?.() === 0 ? "uid 65534\n  gid 65534" : ""
      },
      (directory) => ["-db", "-f", `${directory}/haproxy.conf`],
      (directory) => request(directory, "show stat").then((answer) => answer !== "", () => false)
    )
    const row = Effect.map(ask(peer.directory, "show stat"), (text) => {
      const [head, ...rows] = lines(text).map((line) => line.replace(/^# /, "").split(","))
      const frontend = rows.find((one) => one[0] === "upstream" && one[1] === "FRONTEND")
      return (column: string) => Number(frontend?.[head?.indexOf(column) ?? -1])
    })
    return {
      ...peer,
      arrived: () =>
        lines(peer.stdout()).map((line) => {
          const [method = "", path = "", status = "", call = "", key = "", attempt = ""] = line.split(" ")
          return { method, path, status: Number(status), call, key, attempt }
        }).filter(({ method }) => /^[A-Z]+$/.test(method)),
      counts: Effect.map(row, (of) => ({ requests: of("req_tot"), connections: of("scur"), dropped: of("dreq") })),
      open: Effect.map(
        ask(peer.directory, "show sess"),
        (text) => lines(text).filter((line) => line.includes("fe=upstream")).length
      )
    }
  })
