/**
 * The listener of a proxy, with the connections that came through it and the toxics that touch them.
 */
import * as net from "node:net"
import type * as Toxic from "../Toxic.js"
import type { Address } from "./address.js"
import { networkTime } from "./networkTime.js"
import { Relay } from "./relay.js"

/** @internal */
export class Gateway {
  readonly toxics = new Map<string, Toxic.Toxic>()
  readonly relays = new Set<Relay>()
  accepted = 0
  listen: Address
  upstream: Address
  private server: net.Server | undefined = undefined
  private idle: (() => void) | undefined = undefined
  private readonly seed: string

  constructor(seed: string, listen: Address, upstream: Address) {
    this.seed = seed
    this.listen = listen
    this.upstream = upstream
  }

  get listening(): boolean {
    return this.server !== undefined
  }

  open(done: (cause: Error | undefined) => void) {
    if (this.server !== undefined) return done(undefined)
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, this.accept)
    server.once("error", done).listen(this.listen.port, this.listen.host === "" ? undefined : this.listen.host, () => {
      server.off("error", done)
      const { address, port } = server.address() as net.AddressInfo
      this.listen = { host: address, port }
      this.server = server
      done(undefined)
    })
  }

  /** Stops listening and ends every connection; done when both have happened. */
  close(done: () => void) {
    const { server } = this
    this.server = undefined
    const ended = () => {
      this.idle = undefined
      done()
    }
    const whenIdle = () => {
      if (this.relays.size === 0) ended()
      else this.idle = ended
    }
    if (server === undefined) return whenIdle()
    server.close(whenIdle)
    for (const relay of this.relays) relay.destroy()
  }

  private readonly accept = (client: net.Socket) => {
    const relay = new Relay({
      number: ++this.accepted,
      client,
      upstream: this.upstream,
      seed: this.seed,
      time: networkTime,
      toxics: this.toxics.values(),
      onClosed: (closed) => {
        this.relays.delete(closed)
        if (this.relays.size === 0) this.idle?.()
      }
    })
    this.relays.add(relay)
  }

  /** Whether the name was free. */
  add(toxic: Toxic.Toxic): boolean {
    if (this.toxics.has(toxic.name)) return false
    this.toxics.set(toxic.name, toxic)
    for (const relay of this.relays) relay.add(toxic)
    return true
  }

  change(toxic: Toxic.Toxic) {
    this.toxics.set(toxic.name, toxic)
    for (const relay of this.relays) relay.change(toxic)
  }

  /** Whether there was one of that name. */
  remove(name: string): boolean {
    const toxic = this.toxics.get(name)
    if (toxic === undefined) return false
    this.toxics.delete(name)
    for (const relay of this.relays) relay.remove(toxic)
    return true
  }
}
