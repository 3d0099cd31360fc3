/**
 * Node takes its listeners from a socket when it hands it over for an upgrade, and the platform answers many such requests in the
 * usual way. Until the connection is a WebSocket, what those listeners did is done here: the end that a client sends is its departure,
 * an answer hears when it can go on, and answers are sent in the order of their requests.
 */

/** A response of Node, as a socket and its server see it. Read by shape: `@effect/platform-node` is an optional peer. */
export interface NodeResponse {
  readonly writableEnded: boolean
  readonly writableNeedDrain: boolean
  /** The connection ends behind it. */
  readonly _last?: boolean
  readonly constructor: Function
  once(event: "finish", listener: () => void): unknown
  prependOnceListener(event: "finish", listener: () => void): unknown
  emit(event: "drain"): unknown
  assignSocket(socket: NodeSocket): unknown
}

/** A socket of Node, or what stands in for one. */
export interface NodeSocket {
  /** The response that is being sent. Others wait for it to be gone. */
  readonly _httpMessage?: NodeResponse | null
  readonly destroyed?: boolean
  readonly writableEnded?: boolean
  on?(event: "error" | "end" | "drain", listener: () => void): unknown
  on?(event: "data", listener: (part: Uint8Array) => void): unknown
  off?(event: "data", listener: (part: Uint8Array) => void): unknown
  off?(event: "end", listener: () => void): unknown
  once(event: "finish", listener: () => void): unknown
  pause?(): unknown
  resume?(): unknown
  unshift?(part: Uint8Array): unknown
  end?(): unknown
  setTimeout?(millis: number, listener?: () => void): unknown
  destroy?(): unknown
}

/** How long a client may keep a connection after its upgrade was refused: as long as Node keeps an idle one. */
const lingerMillis = 5000

/** What is kept of bytes that come before the handshake, when a client has to wait for it. More is not read until then. */
const keptBytes = 65_536

const ignore = (): void => {}

/**
 * An error of the connection without a listener ends the process; the departure is told by `close`.
 *
 * @internal
 */
export const surviveErrors = (
  socket: { readonly on?: ((event: "error", listener: () => void) => unknown) | undefined }
): void => {
  socket.on?.("error", ignore)
}

/**
 * @internal
 */
export class UpgradeSocket {
  private kept: Array<Uint8Array> | undefined = []
  private size = 0
  private left = false
  readonly socket: NodeSocket

  constructor(socket: NodeSocket) {
    this.socket = socket
    surviveErrors(socket)
    socket.on?.("drain", () => {
      const response = socket._httpMessage
      if (response?.writableNeedDrain === true) {
        response.emit("drain")
      }
    })
    socket.on?.("data", this.onData)
    socket.on?.("end", this.onEnd)
    socket.once("finish", () => this.letGo())
    this.atTurn(() => {
      // Node has set the time for which an idle connection is kept, and this one is not idle.
      socket.setTimeout?.(0)
      if (this.left) {
        // After the answer that has waited for its turn.
        queueMicrotask(this.onEnd)
      }
    })
  }

  private readonly onData = (part: Uint8Array): void => {
    if (this.kept !== undefined) {
      this.kept.push(part)
      this.size += part.length
      if (this.size >= keptBytes) {
        this.socket.pause?.()
      }
    }
  }

  private readonly onEnd = (): void => {
    this.left = true
    // An answer that is complete is still sent, to a client that takes it.
    if (this.socket.writableEnded === true || this.socket._httpMessage?.writableEnded === true) {
      this.letGo()
    } else {
      this.socket.destroy?.()
    }
  }

  /** Calls when every answer before this one was sent. */
  atTurn(listener: () => void): void {
    const before = this.socket._httpMessage
    if (before === undefined || before === null) {
      listener()
    } else {
      before.prependOnceListener("finish", () => {
        // The platform stops a handler whose connection is destroyed, and not one whose connection another answer has ended.
        if (before._last === true) {
          this.socket.destroy?.()
        }
      })
      // A listener of Node in front of this one gives the socket to the next that waits.
      before.once("finish", () => {
        if (this.socket.destroyed !== true) {
          this.atTurn(listener)
        }
      })
    }
  }

  /** The response in place of an upgrade. One whose turn has not come keeps what is written, as responses of Node do. */
  respond(source: unknown, make: () => object): object {
    this.kept = undefined
    this.socket.resume?.()
    const before = this.socket._httpMessage
    if (before === undefined || before === null) {
      return make()
    }
    const response: NodeResponse = Reflect.construct(before.constructor, [source])
    response.once("finish", () => this.socket.end?.())
    this.atTurn(() => response.assignSocket(this.socket))
    return response
  }

  /** Leaves the socket to a handshake, with all that was read from it. It flows again when it is resumed. */
  handOver(): void {
    const kept = this.kept
    this.kept = undefined
    this.socket.off?.("data", this.onData)
    this.socket.off?.("end", this.onEnd)
    this.socket.pause?.()
    kept?.reverse().forEach((part) => this.socket.unshift?.(part))
  }

  /** What is sent is read to its end by the client, or not: the socket is closed when nothing happens on it. */
  private letGo(): void {
    this.kept = undefined
    this.socket.resume?.()
    this.socket.setTimeout?.(lingerMillis, () => this.socket.destroy?.())
  }
}
