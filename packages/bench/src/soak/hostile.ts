/** Clients of every bad manner, on sockets of their own, and polite ones among them. */
import * as Net from "node:net"
import { oneOf } from "./seeded.js"
import { limitedPath } from "./server.js"

export interface Target {
  readonly port: number
  readonly random: () => number
}

/** One client: resolves when its connection is closed, with how it ended. */
export type Client = (target: Target) => Promise<string>

/** Longer than every limit of the server together: a client that waits so long waits for ever. */
export const patience = 15_000

/** The end of a client that nobody answered and nobody closed. */
export const hung = "hung"

interface Talk {
  /** Written at once, or part by part, with so many milliseconds after each. */
  readonly parts: ReadonlyArray<string>
  readonly between?: number
  /** Milliseconds until it goes, whatever has come by then. */
  readonly leaveAfter?: number
  /** Goes as soon as so many bytes have come. */
  readonly leaveAtBytes?: number
  /** Goes with a reset instead of an end. */
  readonly reset?: boolean
}

const talk = ({ port }: Target, { between = 0, leaveAfter, leaveAtBytes, parts, reset = false }: Talk) =>
  new Promise<string>((resolve) => {
    const timers = new Set<NodeJS.Timeout>()
    const after = (millis: number, go: () => void) => {
      const timer = setTimeout(() => {
        timers.delete(timer)
        go()
      }, millis)
      timers.add(timer)
    }
    let first = ""
    let bytes = 0
    let left: string | undefined
    const socket = Net.connect(port, "127.0.0.1")
    const leave = (how: string) => {
      left ??= how
      if (reset) socket.resetAndDestroy()
      else socket.destroy()
    }
    const send = (index: number): void => {
      if (index === parts.length || socket.destroyed) return
      socket.write(parts[index]!)
      if (between === 0) send(index + 1)
      else after(between, () => send(index + 1))
    }
    let broken = false
    socket.on("error", () => {
      broken = true
    })
    socket.on("connect", () => send(0))
    socket.on("data", (data) => {
      bytes += data.length
      if (first.length < 12) first += data.toString("latin1", 0, 12)
      if (leaveAtBytes !== undefined && bytes >= leaveAtBytes) leave("left")
    })
    socket.on("close", () => {
      for (const timer of timers) clearTimeout(timer)
      const status = /^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]
      resolve(left ?? status ?? (broken ? "reset" : "closed"))
    })
    if (leaveAfter !== undefined) after(leaveAfter, () => leave("left"))
    after(patience, () => leave(hung))
  })

const request = (method: string, path: string, headers: ReadonlyArray<string> = [], body = ""): string =>
  [`${method} ${path} HTTP/1.1`, "Host: soak", "Connection: close", ...headers, "", body].join("\r\n")

const upgrade = (key: boolean): string =>
  [
    "GET /socket HTTP/1.1",
    "Host: soak",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    ...(key ? ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="] : []),
    "\r\n"
  ].join("\r\n")

const paths = ["/fast", "/slow", "/stubborn", "/large", "/stream", "/fail", "/die", "/hang"]
const answering = paths.filter((path) => path !== "/hang")

const soon = (random: () => number): number => random() * 40

const get: Client = (target) => talk(target, { parts: [request("GET", oneOf(target.random, answering))] })

const leaving = (method: string, reset: boolean): Client => (target) =>
  talk(target, {
    parts: [request(method, oneOf(target.random, paths))],
    leaveAfter: soon(target.random),
    reset
  })

const body = "x".repeat(20_000)

/** Those that last as long as a limit of the server: they come in one wave of so many only, or no other would come often. */
export const slow: ReadonlySet<string> = new Set(["POST whose body never ends", "slow headers", "bad headers"])

/** The clients by the name of what they do. */
export const clients: Readonly<Record<string, Client>> = {
  "GET that waits": get,
  "HEAD that waits": (target) => talk(target, { parts: [request("HEAD", oneOf(target.random, answering))] }),
  "GET that hangs until its deadline": (target) =>
    talk(target, { parts: [request("GET", "/hang", ["x-deadline-remaining-ms: 200"])] }),
  "POST with a body": (target) =>
    talk(target, { parts: [request("POST", "/echo", [`Content-Length: ${body.length}`], body)] }),
  "health and metrics": (target) =>
    talk(target, {
      parts: [request("GET", oneOf(target.random, ["/health", "/health/dependencies", "/metrics"]))]
    }),
  "GET beyond its rate": (target) => talk(target, { parts: [request("GET", limitedPath, ["x-client: greedy"])] }),
  "GET of a new client each": (target) =>
    talk(target, { parts: [request("GET", "/fast", [`x-client: ${Math.floor(target.random() * 1e9)}`])] }),
  "GET that leaves": leaving("GET", false),
  "GET that resets": leaving("GET", true),
  "HEAD that leaves": leaving("HEAD", false),
  "HEAD that resets": leaving("HEAD", true),
  "POST that leaves": (target) =>
    talk(target, {
      parts: [request("POST", "/echo", [`Content-Length: ${body.length}`], body)],
      leaveAfter: soon(target.random)
    }),
  "POST whose body is cut": (target) =>
    talk(target, {
      parts: [request("POST", "/echo", [`Content-Length: ${body.length}`], body.slice(0, 500))],
      leaveAfter: 5 + soon(target.random),
      reset: target.random() < 0.5
    }),
  "POST whose body never ends": (target) =>
    talk(target, { parts: [request("POST", "/echo", ["Content-Length: 1000"], "some")] }),
  "large answer, reset in the middle": (target) =>
    talk(target, { parts: [request("GET", "/large")], leaveAtBytes: 100_000, reset: true }),
  "stream, left in the middle": (target) => talk(target, { parts: [request("GET", "/stream")], leaveAtBytes: 50_000 }),
  "pipelined, waits": (target) =>
    talk(target, {
      parts: [
        Array.from({ length: 5 }, () => "GET /slow HTTP/1.1\r\nHost: soak\r\n\r\n").join("") + request("GET", "/fast")
      ]
    }),
  "pipelined, leaves": (target) =>
    talk(target, {
      parts: [
        Array.from({ length: 6 }, () => `${oneOf(target.random, ["GET", "HEAD"])} /slow HTTP/1.1\r\nHost: soak\r\n\r\n`)
          .join("")
      ],
      leaveAfter: soon(target.random),
      reset: target.random() < 0.5
    }),
  "WebSocket that closes": (target) => talk(target, { parts: [upgrade(true)], leaveAfter: 20 + soon(target.random) }),
  "WebSocket that resets": (target) =>
    talk(target, { parts: [upgrade(true)], leaveAfter: soon(target.random), reset: true }),
  "WebSocket without a key": (target) =>
    talk(target, { parts: [upgrade(false)], leaveAfter: 100 + soon(target.random) }),
  "slow headers": (target) =>
    talk(target, { parts: [...request("GET", "/fast", ["x-slow: yes"])].slice(0, 60), between: 50 }),
  "bad headers": (target) =>
    talk(target, {
      parts: [
        oneOf(target.random, [
          "GET / HTTP/1.1\r\nno colon here\r\n\r\n",
          "GET /fast HTTP/1.1\r\nHost: soak\r\nContent-Length: ten\r\n\r\n",
          `GET /fast HTTP/1.1\r\nHost: soak\r\nx-large: ${"y".repeat(20_000)}\r\n\r\n`,
          request("GET", "/fast", ["x-deadline-remaining-ms: soon", "x-forwarded-for: , ,,", "x-client: \x80\xff"]),
          request("GET", "/fast", ["Expect: nothing"]),
          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        ])
      ],
      leaveAfter: 3_000
    })
}
