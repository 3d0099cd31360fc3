/**
 * What the platform does not do for a request to upgrade: end a handshake that was refused, and begin one or an answer only when the
 * answers before it were sent.
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Socket from "@effect/platform/Socket"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type { Departure } from "./departure.js"
import { type NodeSocket, UpgradeSocket } from "./upgradeSocket.js"

/** What the platform keeps in a request to upgrade, handed on to every copy that a router makes of it. */
interface Upgradeable {
  response: () => object
  upgradeEffect?: Effect.Effect<Socket.Socket, unknown>
}

type Run = (
  handler: (data: any) => Effect.Effect<any, any, any> | void,
  options?: { readonly onOpen?: Effect.Effect<void> | undefined }
) => Effect.Effect<void, any, any>

/**
 * The platform waits uninterruptibly for a handshake, and hears nothing when it is refused, for want of a key for instance. So that wait
 * is in a fiber of its own until the connection is open: it can be left, by an interruption and when the connection is gone.
 */
const openable = (run: Run, held: UpgradeSocket, departure: Departure): Run => (handler, options) =>
  Effect.uninterruptible(Effect.suspend(() => {
    const ended = Deferred.unsafeMake<void, unknown>(FiberId.none)
    let opened = false
    const { socket } = held
    const open = Effect.sync(() => {
      opened = true
      socket.resume?.()
    })
    const onOpen = options?.onOpen === undefined ? open : Effect.zipRight(open, options.onOpen)
    const turn = Effect.async<void>((resume) => held.atTurn(() => resume(Effect.void)))
    const connection = turn.pipe(
      Effect.zipRight(Effect.sync(() => held.handOver())),
      Effect.zipRight(run(handler, { ...options, onOpen }))
    )
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
          // Not awaited, not even in a fiber of its own: the platform's wait for a refused handshake has no end.
          fiber.unsafeInterruptAsFork(fiber.id())
          return Effect.void
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
  const held = new UpgradeSocket(socket)
  const upgradeable = request as unknown as Upgradeable
  const respond = upgradeable.response
  let made: object | undefined
  upgradeable.response = () => {
    if (made === undefined) {
      made = held.respond(request.source, respond)
      onResponse(made)
    }
    return made
  }
  const upgrade = upgradeable.upgradeEffect
  if (Effect.isEffect(upgrade)) {
    upgradeable.upgradeEffect = Effect.map(upgrade, (inner) =>
      Socket.Socket.of({
        ...inner,
        run: openable(inner.run as Run, held, departure) as Socket.Socket["run"],
        runRaw: openable(inner.runRaw as Run, held, departure) as Socket.Socket["runRaw"]
      }))
  }
}
