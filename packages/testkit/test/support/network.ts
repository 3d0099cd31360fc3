/** Servers and clients of plain TCP for the tests of the proxy. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"

/** One end of a connection, and what it has seen. */
export interface Peer {
  readonly socket: net.Socket
  readonly received: () => Buffer
  /** `open`, `ended` once the other side sent its end, `closed`, or the code of the error that closed it. */
  readonly state: () => string
  readonly write: (data: string | Uint8Array) => void
  readonly end: () => void
}

const peer = (socket: net.Socket): Peer => {
  const parts: Array<Buffer> = []
  let state = "open"
  socket
    .on("data", (data) => parts.push(data))
    .on("end", () => (state = "ended"))
    .on("error", (error: NodeJS.ErrnoException) => (state = error.code ?? error.message))
    .on("close", () => {
      if (state === "open" || state === "ended") state = "closed"
    })
  return {
    socket,
    received: () => Buffer.concat(parts),
    state: () => state,
    write: (data) => socket.write(data),
    end: () => socket.end()
  }
}

export interface Server {
  readonly address: string
  /** The server's ends, in the order of the connections. */
  readonly peers: ReadonlyArray<Peer>
}

/** A server whose ends stay half open until they are ended. */
export const server = (onConnect: (peer: Peer) => void = () => {}): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<{ readonly listener: net.Server; readonly server: Server }>((resume) => {
      const peers: Array<Peer> = []
      const listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        const one = peer(socket)
        peers.push(one)
        onConnect(one)
      })
      listener.listen(0, "127.0.0.1", () => {
        const address = `127.0.0.1:${(listener.address() as net.AddressInfo).port}`
        resume(Effect.succeed({ listener, server: { address, peers } }))
      })
    }),
    ({ listener, server }) =>
      Effect.async<void>((resume) => {
        listener.close(() => resume(Effect.void))
        for (const { socket } of server.peers) socket.destroy()
      })
  ).pipe(Effect.map(({ server }) => server))

/** Answers with what it is told, and ends when the client ends. */
export const echo = server(({ socket }) => {
  socket.on("data", (data) => {
    if (!socket.write(data)) {
      socket.pause()
      socket.once("drain", () => socket.resume())
    }
  })
  socket.on("end", () => socket.end())
})

export const connect = (port: number): Effect.Effect<Peer, NodeJS.ErrnoException, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Peer, NodeJS.ErrnoException>((resume) => {
      const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true })
      const one = peer(socket)
      socket
        .once("connect", () => resume(Effect.succeed(one)))
        .once("error", (error) => resume(Effect.fail(error)))
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

/** Waits until it holds; the limit of the test is the limit. */
export const eventually = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => holds() ? Effect.void : Effect.zipRight(Effect.sleep(2), eventually(holds))).pipe(
    Effect.withClock(Clock.make())
  )

/** Milliseconds that an effect took. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
  Effect.suspend(() => {
    const began = performance.now()
    return Effect.map(effect, () => performance.now() - began)
  })

/**
 * An address of the loopback at which nobody listens and which nobody is given by chance: below the range from which systems
 * hand out ports. A proxy that goes down and comes up again needs one; a port of that range may be gone meanwhile.
 */
export const quietAddress: Effect.Effect<string> = Effect.suspend(() => {
  const address = { host: "127.0.0.1", port: 12_000 + Math.floor(Math.random() * 18_000) }
  return Effect.async<string | undefined>((resume) => {
    const listener = net.createServer()
    listener.once("error", () => resume(Effect.succeed(undefined)))
    listener.listen(address, () => listener.close(() => resume(Effect.succeed(`${address.host}:${address.port}`))))
  })
}).pipe(Effect.repeat({ until: (found) => found !== undefined }), Effect.map((found) => found!))
