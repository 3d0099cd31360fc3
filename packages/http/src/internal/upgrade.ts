/**
 * What the platform does not do for a request to upgrade: survive errors of its socket, end a handshake that was refused, and let go
 * of a connection whose upgrade was refused.
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Socket from "@effect/platform/Socket"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type { Departure } from "./departure.js"

/** A socket of Node, or what stands in for one. Read by shape: `@effect/platform-node` is an optional peer. */
interface NodeSocket {
  readonly on?: ((event: "error", listener: () => void) => unknown) | undefined
  once(event: "finish", listener: () => void): unknown
  resume?(): unknown
  setTimeout?(millis: number, listener: () => void): unknown
  readonly writableEnded?: boolean
  destroy?(): unknown
}

/** What the platform keeps in a request to upgrade, handed on to every copy that a router makes of it. */
interface Upgradeable {
  response: () => object
  upgradeEffect?: Effect.Effect<Socket.Socket, unknown>
}

/** How long a client may keep a connection after its upgrade was refused: as long as Node keeps an idle one. */
const lingerMillis = 5000

const ignore = (): void => {}

/**
 * Node takes its own listener from a socket when it hands it over for an upgrade. An error of the connection without a listener ends
 * the process; the departure is told by `close`.
 *
 * @internal
 */
export const surviveErrors = (socket: Pick<NodeSocket, "on">): void => {
  socket.on?.("error", ignore)
}

/**
 * Nothing reads from the socket of a refused upgrade, so the end that its client sends is never seen: it is read to its end, and closed
 * if that does not come.
 */
const letGo = (socket: NodeSocket): void => {
  socket.resume?.()
  socket.setTimeout?.(lingerMillis, () => socket.destroy?.())
}

type Run = (
  handler: (data: any) => Effect.Effect<any, any, any> | void,
  options?: { readonly onOpen?: Effect.Effect<void> | undefined }
) => Effect.Effect<void, any, any>

/**
 * The platform waits uninterruptibly for a handshake, and hears nothing when it is refused, for want of a key for instance. So that wait
 * is in a fiber of its own until the connection is open: it can be left, by an interruption and when the connection is gone.
 */
const openable = (run: Run, socket: NodeSocket, departure: Departure): Run => (handler, options) =>
  Effect.uninterruptible(Effect.suspend(() => {
    const ended = Deferred.unsafeMake<void, unknown>(FiberId.none)
    let opened = false
    const open = Effect.sync(() => {
      opened = true
    })
    const onOpen = options?.onOpen === undefined ? open : Effect.zipRight(open, options.onOpen)
    const connection = run(handler, { ...options, onOpen })
    return Effect.flatMap(Effect.forkDaemon(Effect.intoDeferred(Effect.interruptible(connection), ended)), (fiber) => {
      departure.onGone(() => {
        if (!opened) {
          Deferred.unsafeDone(
            ended,
            Effect.fail(
              new Socket.SocketGenericError({
                reason: "Open",
                cause: new Error("The connection was closed in its handshake")
              })
            )
          )
        }
      })
      return Effect.ensuring(
        Effect.interruptible(Deferred.await(ended)),
        Effect.suspend(() => {
          if (opened) {
            return Fiber.interrupt(fiber)
          }
          // The refusal of a handshake is the last that can be sent, and the platform would wait for an answer behind it.
          if (socket.writableEnded === true) {
            socket.destroy?.()
          }
          return Fiber.interruptFork(fiber)
        })
      )
    })
  }))

/**
 * @internal
 */
export const watchUpgrade = (
  request: HttpServerRequest.HttpServerRequest,
  socket: NodeSocket,
  departure: Departure,
  onResponse: (response: object) => void
): void => {
  surviveErrors(socket)
  socket.once("finish", () => letGo(socket))
  const upgradeable = request as unknown as Upgradeable
  const respond = upgradeable.response
  let made: object | undefined
  upgradeable.response = () => {
    if (made === undefined) {
      made = respond()
      onResponse(made)
    }
    return made
  }
  const upgrade = upgradeable.upgradeEffect
  if (Effect.isEffect(upgrade)) {
    upgradeable.upgradeEffect = Effect.map(upgrade, (inner) =>
      Socket.Socket.of({
        ...inner,
        run: openable(inner.run as Run, socket, departure) as Socket.Socket["run"],
        runRaw: openable(inner.runRaw as Run, socket, departure) as Socket.Socket["runRaw"]
      }))
  }
}
