/** nginx that answers 429 to what is beyond its rate, with its access log. */
import { Effect, type Scope } from "effect"
import * as Fs from "node:fs"
import { type Peer, start } from "./peer.js"

export interface Answered {
  readonly status: number
  readonly call: string
  readonly attempt: number
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface Nginx extends Peer {
  readonly answered: () => ReadonlyArray<Answered>
}

export const nginx: Effect.Effect<Nginx, never, Scope.Scope> = Effect.map(
  start("nginx", ["nginx.conf", "answer.txt"], {}, (directory) => [
    ...["-p", directory],
    ...["-c", `${directory}/nginx.conf`],
    ...["-e", "stderr"]
  ], (directory) => Fs.existsSync(`${directory}/nginx.pid`)),
  (peer) => ({
    ...peer,
    answered: () =>
      Fs.readFileSync(`${peer.directory}/access.log`, "utf8").split("\n").filter((line) => line !== "").map((line) => {
        const [status, call = "", attempt, seconds] = line.split(" ")
        return { status: Number(status), call, attempt: Number(attempt), at: Number(seconds) * 1000 }
      })
  })
)
