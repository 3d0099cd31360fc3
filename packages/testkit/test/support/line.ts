/** A pipeline whose time and outlet the test holds in its hand. */
import * as Either from "effect/Either"
import * as Behaviour from "../../src/internal/behaviour.js"
import { Pipeline, type Time } from "../../src/internal/pipeline.js"
import * as Toxic from "../../src/Toxic.js"

interface Alarm {
  readonly at: number
  readonly ring: () => void
}

/** Time that moves when it is told to. */
export class HandTime implements Time {
  private current = 0
  private alarms: Array<Alarm> = []
  readonly now = () => this.current
  readonly after = (millis: number, ring: () => void) => {
    // As timers do: whole milliseconds, one at least.
    const alarm: Alarm = { at: this.current + Math.max(1, Math.ceil(millis)), ring }
    this.alarms.push(alarm)
    return () => {
      this.alarms = this.alarms.filter((other) => other !== alarm)
    }
  }
  get waiting() {
    return this.alarms.length
  }
  advance(millis: number) {
    const target = this.current + millis
    for (;;) {
      const [next] = this.alarms.filter(({ at }) => at <= target).sort((one, other) => one.at - other.at)
      if (next === undefined) break
      this.alarms = this.alarms.filter((other) => other !== next)
      this.current = Math.max(this.current, next.at)
      next.ring()
    }
    this.current = target
  }
}

/** What left a pipeline, and when. */
export class Line {
  readonly time = new HandTime()
  readonly out: Array<readonly [at: number, what: string]> = []
  readonly ends: Array<Behaviour.End> = []
  /** How many bytes left it. */
  count = 0
  private readonly parts: Array<Uint8Array> = []
  full = false
  roomAgain = 0
  readonly pipeline: Pipeline
  private draws = 0
  private readonly random: () => number

  constructor(random: () => number = () => 0.5) {
    this.random = random
    this.pipeline = new Pipeline(
      this.time,
      {
        full: () => this.full || this.ends.length > 0,
        write: (data) => {
          if (this.full) throw new Error("written although the outlet is full")
          if (this.ends.length > 0) throw new Error("written after the end")
          this.out.push([this.time.now(), Buffer.from(data).toString("latin1")])
          this.parts.push(data)
          this.count += data.length
        },
        end: (how) => {
          this.ends.push(how)
          this.out.push([this.time.now(), how])
        }
      },
      () => this.roomAgain++
    )
  }

  private behaviour(toxic: Toxic.Toxic) {
    return Behaviour.make(toxic, this.time.now(), () => {
      this.draws++
      return this.random()
    })
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts)
  }

  get drawn() {
    return this.draws
  }

  add(toxic: Toxic.Toxic) {
    this.pipeline.add(toxic.name, this.behaviour(toxic))
    return toxic
  }

  change(toxic: Toxic.Toxic, changes: Toxic.Changes) {
    this.pipeline.change(toxic.name, this.behaviour(Either.getOrThrow(Toxic.change(toxic, changes))))
  }

  write(text: string) {
    this.pipeline.write(Buffer.from(text, "latin1"))
  }

  drain() {
    this.full = false
    this.pipeline.drained()
  }
}
