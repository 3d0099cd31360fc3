/**
 * One connection through a proxy: two sockets and a pipeline each way, as transparent as TCP lets a relay be. Half-closed stays
 * half-closed, a reset is passed on as a reset, and a socket that cannot take more holds back the other.
 */
import * as Hash from "effect/Hash"
import * as Utils from "effect/Utils"
import * as net from "node:net"
import type * as Toxic from "../Toxic.js"
import type { Address } from "./address.js"
import * as Behaviour from "./behaviour.js"
import { type Outlet, Pipeline, type Time } from "./pipeline.js"

/** A toxic as this connection has it: whether it is touched is drawn once, and what it draws goes on when the toxic changes. */
interface Grip {
  toxic: Toxic.Toxic
  readonly share: number
  readonly draw: () => number
}

/** @internal */
export interface Options {
  /** From 1, in the order of the connections. */
  readonly number: number
  readonly client: net.Socket
  readonly upstream: Address
  /** What is drawn depends on this, the name of the toxic and the number of the connection, and on nothing else. */
  readonly seed: string
  readonly time: Time
  readonly toxics: Iterable<Toxic.Toxic>
  /** Called once both sockets are closed. */
  readonly onClosed: (relay: Relay) => void
}

const touched = (grip: Grip) => grip.share < grip.toxic.toxicity

/** @internal */
export class Relay {
  readonly number: number
  readonly received: Record<Toxic.Stream, number> = { upstream: 0, downstream: 0 }
  readonly delivered: Record<Toxic.Stream, number> = { upstream: 0, downstream: 0 }
  private readonly grips = new Map<string, Grip>()
  private readonly seed: string
  private readonly time: Time
  private readonly client: net.Socket
  private readonly server: net.Socket
  private readonly pipelines: Record<Toxic.Stream, Pipeline>
  private joined = false

  constructor(options: Options) {
    this.number = options.number
    this.seed = options.seed
    this.time = options.time
    this.client = options.client
    this.server = net.connect({ ...options.upstream, allowHalfOpen: true, noDelay: true })
    this.pipelines = {
      upstream: this.pipeline("upstream", this.client, this.server),
      downstream: this.pipeline("downstream", this.server, this.client)
    }
    for (const toxic of options.toxics) this.add(toxic)

    let open = 2
    for (const [socket, other] of [[this.client, this.server], [this.server, this.client]] as const) {
      // Before the connection stands there is nothing to pass on but its end.
      const refused = () => other.destroy()
      socket.on("error", () => {}).once("close", refused).once("close", () => {
        if (--open > 0) return
        this.pipelines.upstream.stop()
        this.pipelines.downstream.stop()
        options.onClosed(this)
      })
      this.server.once("connect", () => socket.off("close", refused))
    }
    this.server.once("connect", () => {
      this.joined = true
      this.join("upstream", this.client, this.server)
      this.join("downstream", this.server, this.client)
    })
  }

  private pipeline(stream: Toxic.Stream, source: net.Socket, sink: net.Socket): Pipeline {
    const back = (how: Behaviour.End) => this.pipelines[stream === "upstream" ? "downstream" : "upstream"].end(how)
    const outlet: Outlet = {
      full: () => !sink.writable || sink.writableNeedDrain,
      write: (data) => {
        this.delivered[stream] += data.length
        sink.write(data)
      },
      end: (how) => {
        switch (how) {
          case "half": {
            sink.end()
            break
          }
          case "close": {
            sink.end(() => sink.destroy())
            back("close")
            break
          }
          case "reset": {
            sink.resetAndDestroy()
            back("reset")
            break
          }
        }
      }
    }
    return new Pipeline(this.time, outlet, () => {
      if (this.joined) source.resume()
    })
  }

  private join(stream: Toxic.Stream, source: net.Socket, sink: net.Socket) {
    const pipeline = this.pipelines[stream]
    source
      .on("data", (data) => {
        this.received[stream] += data.length
        pipeline.write(data)
        if (pipeline.full()) source.pause()
      })
      .once("end", () => pipeline.end("half"))
      .once("error", () => pipeline.end("reset"))
    sink.on("drain", pipeline.drained)
    if (!pipeline.full()) source.resume()
  }

  add(toxic: Toxic.Toxic) {
    const key = `${this.seed} ${toxic.name} ${this.number}`
    const random = new Utils.PCGRandom(Hash.string(key))
    const grip: Grip = { toxic, share: random.number(), draw: () => random.number() }
    this.grips.set(toxic.name, grip)
    this.pipelines[toxic.stream].add(toxic.name, this.behaviour(grip) ?? Behaviour.passThrough)
  }

  change(toxic: Toxic.Toxic) {
    const grip = this.grips.get(toxic.name)!
    const before = touched(grip)
    grip.toxic = toxic
    if (before || touched(grip)) this.pipelines[toxic.stream].change(toxic.name, this.behaviour(grip))
  }

  remove(toxic: Toxic.Toxic) {
    this.grips.delete(toxic.name)
    this.pipelines[toxic.stream].remove(toxic.name)
  }

  private behaviour(grip: Grip) {
    return touched(grip) ? Behaviour.make(grip.toxic, this.time.now(), grip.draw) : undefined
  }

  /** The names of the toxics that touch this connection. */
  get touchedBy(): ReadonlyArray<string> {
    return Array.from(this.grips.values()).filter(touched).map((grip) => grip.toxic.name)
  }

  get held(): Record<Toxic.Stream, number> {
    return { upstream: this.pipelines.upstream.held, downstream: this.pipelines.downstream.held }
  }

  destroy() {
    this.client.destroy()
    this.server.destroy()
  }
}
