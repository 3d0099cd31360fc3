/** A real HTTP server of Node and of the platform whose connections are in memory: what a client does happens at an exact moment. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpRouter from "@effect/platform/HttpRouter"
import type * as HttpServer from "@effect/platform/HttpServer"
import { Effect, type Scope } from "effect"
import * as Http from "node:http"
import { Duplex } from "node:stream"
import { upgradeOf } from "./servers.js"

export type App = HttpApp.Default<any, any>
export type Middleware = (app: App) => App

/** The server's end of a connection. What it sends is kept as text, as soon as the client reads. */
export class Connection extends Duplex {
  received = ""
  readonly remoteAddress = "127.0.0.1"
  private readonly unread: Array<() => void> = []
  private reads: boolean
  private onProgress: () => void = () => {}

  constructor(reads: boolean) {
    super()
    this.reads = reads
    this.once("close", () => this.onProgress())
  }

  /** Waits until so many answers have come or the connection is closed. */
  answered(count: number): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      this.onProgress = () => {
        if (this.closed || this.statuses.length >= count) {
          resume(Effect.void)
        }
      }
      this.onProgress()
    })
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const take = () => {
      this.received += chunk.toString("latin1")
      this.onProgress()
      done()
    }
    if (this.reads) {
      take()
    } else {
      this.unread.push(take)
    }
  }

  /** The client reads from now on. */
  beginToRead(): void {
    this.reads = true
    this.unread.splice(0).forEach((take) => take())
  }

  /** The client sends. */
  send(text: string): void {
    if (!this.destroyed) {
      this.push(Buffer.from(text, "latin1"))
    }
  }

  /** As the sockets of Node have it: ended once, and gone when all was sent. */
  destroySoon(): void {
    if (this.writable) {
      this.end()
    }
    if (this.writableFinished) {
      this.destroy()
    } else {
      this.once("finish", () => this.destroy())
    }
  }

  /** The client sends no more. */
  finish(): void {
    if (!this.destroyed) {
      this.push(null)
    }
  }

  /** The client resets the connection. */
  reset(): void {
    this.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }))
  }

  /** The statuses that came back. */
  get statuses(): ReadonlyArray<number> {
    return [...this.received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((one) => Number(one[1]))
  }
}

class MemoryServer extends Http.Server {
  override listen(...all: Array<any>): this {
    process.nextTick(all[all.length - 1])
    return this
  }

  override address() {
    return { address: "127.0.0.1", family: "IPv4", port: 1 }
  }
}

export interface Memory {
  readonly node: Http.Server
  readonly server: HttpServer.HttpServer
  readonly connect: (reads?: boolean) => Connection
}

export const make: Effect.Effect<Memory, never, Scope.Scope> = Effect.gen(function*() {
  const node = new MemoryServer()
  const server = yield* Effect.orDie(NodeHttpServer.make(() => node, { port: 0 }))
  const connections: Array<Connection> = []
  yield* Effect.addFinalizer(() => Effect.sync(() => connections.forEach((connection) => connection.destroy())))
  return {
    node,
    server,
    connect: (reads = true) => {
      const connection = new Connection(reads)
      connections.push(connection)
      node.emit("connection", connection)
      return connection
    }
  }
})

/** Where a middleware may stand. */
export const places: Readonly<
  Record<string, (memory: Memory, app: App, middleware: Middleware) => Effect.Effect<void, never, Scope.Scope>>
> = {
  "around the app": ({ server }, app, middleware) => server.serve(middleware(app)) as any,
  "around a router": ({ server }, app, middleware) =>
    server.serve(middleware(HttpRouter.empty.pipe(HttpRouter.all("*", app)) as unknown as App)) as any,
  "around a route": ({ server }, app, middleware) =>
    server.serve(HttpRouter.empty.pipe(HttpRouter.all("*", middleware(app))) as unknown as App) as any,
  "around the server": ({ server }, app, middleware) => server.serve(app, middleware as any) as any
}

const requestOf = (method: string, body = "") =>
  `${method} / HTTP/1.1\r\nHost: a\r\n${body === "" ? "" : `Content-Length: ${body.length}\r\n`}\r\n${body}`

/** What a client sends, by what it asks for, and how many requests that is. */
export const requests: Readonly<Record<string, { readonly text: string; readonly count: number }>> = {
  "GET": { text: requestOf("GET"), count: 1 },
  "HEAD": { text: requestOf("HEAD"), count: 1 },
  "POST with a body": { text: requestOf("POST", "body"), count: 1 },
  "POST with half a body": { text: requestOf("POST", "body").slice(0, -2), count: 1 },
  "a WebSocket": { text: upgradeOf("/"), count: 1 },
  "a WebSocket without a key": { text: upgradeOf("/").replace(/Sec-WebSocket-Key.*\r\n/, ""), count: 1 },
  "HEAD with an upgrade": { text: upgradeOf("/").replace("GET", "HEAD"), count: 1 },
  "two requests at once": { text: requestOf("GET") + requestOf("HEAD"), count: 2 },
  "a WebSocket behind a request": { text: requestOf("GET") + upgradeOf("/"), count: 2 }
}
