/**
 * One direction of a connection: what comes in at one end passes the toxics one after another and leaves at the other, in order
 * and without a byte lost. Toxics come, change and go while data is under way, and a full outlet holds back the inlet.
 */
import * as Behaviour from "./behaviour.js"

/**
 * How a pipeline knows the time; the network's, not the program's.
 *
 * @internal
 */
export interface Time {
  /** Milliseconds, with a fraction, that never go back. */
  readonly now: () => number
  /** Calls the task once, unless it is cancelled before. */
  readonly after: (millis: number, task: () => void) => () => void
}

/**
 * Where data goes.
 *
 * @internal
 */
export interface Outlet {
  readonly full: () => boolean
  readonly write: (data: Uint8Array) => void
  readonly end: (how: Behaviour.End) => void
}

class Stage {
  readonly key: string
  behaviour: Behaviour.Behaviour
  /** It stays until what stands in its line has passed. */
  leaving = false
  ended = false
  private items: Array<Behaviour.Item> = []
  private first = 0
  private bytes = 0
  private passed = 0
  private pumping = false
  private alarm: (() => void) | undefined = undefined
  private readonly pipeline: Pipeline

  constructor(pipeline: Pipeline, key: string, behaviour: Behaviour.Behaviour) {
    this.pipeline = pipeline
    this.key = key
    this.behaviour = behaviour
  }

  readonly full = () => this.ended || this.bytes >= this.behaviour.room

  get held(): number {
    return this.bytes
  }

  get empty(): boolean {
    return this.first === this.items.length
  }

  readonly write = (data: Uint8Array) => this.line(data, undefined)
  readonly end = (how: Behaviour.End) => this.line(undefined, how)

  private line(data: Uint8Array | undefined, end: Behaviour.End | undefined) {
    if (this.ended) {
      // A connection that was half closed may still be closed or reset.
      if (end !== undefined) this.pipeline.after(this).end(end)
      return
    }
    this.items.push({ data, end, arrived: this.pipeline.time.now() })
    this.bytes += data?.length ?? 0
    this.pump()
  }

  /** Another behaviour plans anew what stands in the line. */
  become(behaviour: Behaviour.Behaviour) {
    this.behaviour = behaviour
    for (const item of this.items) item.due = item.slices = undefined
    this.pump()
    // It may have more room than the one before, which `pump` cannot know.
    if (!this.full()) this.pipeline.before(this)
  }

  /** Touches the connection no more. */
  release() {
    const { onRemove } = this.behaviour
    if (onRemove === undefined) this.become(Behaviour.passThrough)
    else this.close(onRemove)
  }

  stop() {
    this.alarm?.()
    this.alarm = undefined
  }

  close(how: Behaviour.End) {
    this.stop()
    this.ended = true
    this.items = []
    this.first = this.bytes = 0
    this.pipeline.after(this).end(how)
  }

  private shift() {
    if (++this.first > 1024 && this.first * 2 > this.items.length) {
      this.items.splice(0, this.first)
      this.first = 0
    }
  }

  /** Lets pass what may pass now, and sets the alarm for what may not yet. */
  pump() {
    // What is passed on may come back as room for more: the loop below sees it.
    if (this.pumping) return
    this.pumping = true
    const wasFull = this.full()
    this.stop()
    while (!this.ended && this.step()) continue
    this.pumping = false
    if (this.leaving && this.empty && !this.ended) return this.pipeline.unlink(this)
    if (wasFull && !this.full()) this.pipeline.before(this)
  }

  /** Whether there may be more to do at once. */
  private step(): boolean {
    const head = this.items[this.first]
    const now = this.pipeline.time.now()
    const next = this.behaviour.next(head, now, this.passed)
    switch (next._tag) {
      case "Wait": {
        if (next.until !== undefined) {
          this.alarm = this.pipeline.time.after(next.until - now, () => {
            this.alarm = undefined
            this.pump()
          })
        }
        return false
      }
      case "End": {
        this.close(next.how)
        return false
      }
      case "Drop": {
        this.bytes -= head!.data!.length
        this.shift()
        return true
      }
      case "Pass": {
        const outlet = this.pipeline.after(this)
        if (outlet.full()) return false
        const data = head!.data!
        const part = data.subarray(0, next.bytes)
        this.bytes -= part.length
        this.passed += part.length
        this.behaviour.onPass?.(head!, part.length)
        if (part.length === data.length) this.shift()
        else head!.data = data.subarray(part.length)
        outlet.write(part)
        return true
      }
    }
  }
}

/** Each end goes over the ones before it, once. */
const ranks: Record<Behaviour.End, number> = { half: 1, close: 2, reset: 3 }

/** @internal */
export class Pipeline implements Outlet {
  readonly time: Time
  private stages: Array<Stage> = []
  private over = false
  private endedBy = 0
  private readonly outlet: Outlet
  private readonly roomAgain: () => void

  /** `roomAgain` is called when the inlet may have been full and is not. */
  constructor(time: Time, outlet: Outlet, roomAgain: () => void) {
    this.time = time
    this.outlet = {
      full: outlet.full,
      write: outlet.write,
      end: (how) => {
        if (ranks[how] <= this.endedBy) return
        this.endedBy = ranks[how]
        outlet.end(how)
      }
    }
    this.roomAgain = roomAgain
  }

  private get inlet(): Outlet {
    return this.stages[0] ?? this.outlet
  }

  readonly full = () => this.over || this.inlet.full()
  readonly write = (data: Uint8Array) => this.inlet.write(data)
  readonly end = (how: Behaviour.End) => {
    if (!this.over) this.inlet.end(how)
  }

  /** Bytes that are under way. */
  get held(): number {
    return this.stages.reduce((sum, stage) => sum + stage.held, 0)
  }

  /** The outlet has room again. */
  readonly drained = () => {
    const last = this.stages[this.stages.length - 1]
    if (last === undefined) this.roomAgain()
    else last.pump()
  }

  /** New toxics stand at the end. */
  add(key: string, behaviour: Behaviour.Behaviour) {
    if (this.over || this.endedBy > 0) return
    const stage = new Stage(this, key, behaviour)
    this.stages.push(stage)
    stage.pump()
    // Its line may have room where the outlet had none.
    this.before(stage)
  }

  /** Without a behaviour the toxic stays, and touches this connection no more. */
  change(key: string, behaviour: Behaviour.Behaviour | undefined) {
    const stage = this.find(key)
    if (behaviour === undefined) stage?.release()
    else stage?.become(behaviour)
  }

  remove(key: string) {
    const stage = this.find(key)
    if (stage === undefined) return
    stage.leaving = true
    stage.release()
  }

  /** Nothing passes any more. */
  stop() {
    this.over = true
    for (const stage of this.stages) stage.stop()
    this.stages = []
  }

  private find(key: string) {
    return this.stages.find((stage) => stage.key === key && !stage.leaving && !stage.ended)
  }

  /** @internal */
  after(stage: Stage): Outlet {
    return this.stages[this.stages.indexOf(stage) + 1] ?? this.outlet
  }

  /** @internal */
  before(stage: Stage) {
    const place = this.stages.indexOf(stage)
    if (place === 0) this.roomAgain()
    else if (place > 0) this.stages[place - 1]!.pump()
  }

  /** @internal */
  unlink(stage: Stage) {
    const place = this.stages.indexOf(stage)
    if (place < 0) return
    this.stages.splice(place, 1)
    if (place === 0) this.roomAgain()
    else this.stages[place - 1]!.pump()
  }
}
