/**
 * One alarm queue per clock: every timeout, queue wait and backoff of the process waits here, behind one timer.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { ofProcess } from "./internal/asyncContext.js"

/**
 * Something that wants to be rung at an instant. The queue keeps its place in the entry itself, so an entry is in one queue at
 * a time and leaves it in O(log n), at the end of the usual rising order in O(1).
 *
 * @internal
 */
export interface Entry {
  /** The instant, in milliseconds of the queue's clock. */
  at: number
  /** The place in the heap, -1 while the entry waits for nothing. */
  place: number
  /** Called once, with how many milliseconds late. Must not throw. */
  ring(late: number): void
}

/**
 * The only thing in which a test differs from production: how the present is read, and how one wake-up is asked for.
 *
 * @internal
 */
export interface TimeSource {
  /** Milliseconds, monotonic, with a fraction. */
  readonly now: () => number
  /** Calls `wake` once after `millis`, unless called again or stopped before. At most one wake-up is outstanding. */
  readonly wakeAfter: (millis: number, wake: () => void) => void
  /** The outstanding wake-up may never come, since the timers it was asked of have been taken away. */
  readonly isLost: () => boolean
  /** Nothing waits any more: the wake-up must not keep the process alive. */
  readonly idle: () => void
  /** Something waits again. */
  readonly busy: () => void
  /** Lets answers that are already here win before late alarms ring. */
  readonly settle: (go: () => void) => void
}

/** Longer timers fire at once in JavaScript; a wake-up that comes early asks again. */
const longestTimer = 2 ** 31 - 1

/** A wake-up later than this found a blocked event loop: answers may be waiting in sockets. */
const lateness = 20

/** What a timer of Node can do; a browser's is a number and keeps no process alive. */
interface Timer {
  ref?(): void
  unref?(): void
}

/** The timers of the process as they are now: tests put others in their place for a while, and take those away again. */
interface Timers {
  readonly setTimeout: (task: () => void, millis: number) => Timer
  readonly clearTimeout: (timer: Timer | undefined) => void
  readonly setImmediate?: (task: () => void) => unknown
}

const timers = globalThis as unknown as Timers

/** Those that the process had when this module was loaded. */
const loaded: Timers = {
  setTimeout: timers.setTimeout,
  clearTimeout: timers.clearTimeout,
  ...(timers.setImmediate === undefined ? {} : { setImmediate: timers.setImmediate })
}

/** How often waits under timers that were put in the place of others are looked at by those others. */
const lookAgain = 50

const soon = ({ setImmediate, setTimeout }: Timers, go: () => void): void => {
  if (setImmediate === undefined) {
    setTimeout(go, 0)
  } else {
    setImmediate(go)
  }
}

const liveSource = (): TimeSource => {
  let timer: Timer | undefined
  /** The look of the timers that were there before, while others are in their place. */
  let look: Timer | undefined
  /** Those by which the outstanding timer was set: no others can stop it, and it may never ring when they are gone. */
  let setBy = timers.setTimeout
  let stop = timers.clearTimeout
  return {
    now: () => performance.now(),
    wakeAfter(millis, wake) {
      if (setBy === timers.setTimeout) {
        stop(timer)
      } else {
        timer?.unref?.()
        setBy = timers.setTimeout
        stop = timers.clearTimeout
      }
      // No call's: the timer outlives the one for which it was set.
      const set = timer = ofProcess.runInAsyncScope(setBy, undefined, () => {
        if (timer === set) {
          timer = undefined
        }
        wake()
      }, millis)
      if (setBy !== loaded.setTimeout && look === undefined) {
        // They may be taken away before they ring.
        look = ofProcess.runInAsyncScope(loaded.setTimeout, undefined, () => {
          look = undefined
          wake()
        }, lookAgain)
        look?.unref?.()
      }
    },
    isLost: () => setBy !== timers.setTimeout,
    idle: () => {
      timer?.unref?.()
    },
    busy: () => {
      timer?.ref?.()
    },
    settle: (go) => {
      let gone = false
      const once = () => {
        if (!gone) {
          gone = true
          go()
        }
      }
      soon(loaded, once)
      if (timers.setImmediate !== loaded.setImmediate) {
        soon(timers, once)
      }
    }
  }
}

const clockSource = (clock: Clock.Clock): TimeSource => {
  let sleeping: { readonly unsafeInterruptAsFork: (id: FiberId.FiberId) => void } | undefined
  return {
    now: () => Number(clock.unsafeCurrentTimeNanos()) / 1_000_000,
    wakeAfter(millis, wake) {
      sleeping?.unsafeInterruptAsFork(FiberId.none)
      const sleep = Effect.flatMap(clock.sleep(Duration.millis(millis)), () =>
        Effect.sync(() => {
          sleeping = undefined
          wake()
        }))
      sleeping = ofProcess.runInAsyncScope(() => Effect.runFork(sleep), undefined)
    },
    isLost: () => false,
    idle: () => {},
    busy: () => {},
    settle: (go) => go()
  }
}

const liveClock = Context.get(DefaultServices.liveServices, Clock.Clock)

const sourceOf = (clock: Clock.Clock): TimeSource => clock === liveClock ? liveSource() : clockSource(clock)

/**
 * A heap of entries by instant behind at most one outstanding wake-up.
 *
 * @internal
 */
export class Alarms {
  private readonly heap: Array<Entry> = []
  private readonly source: TimeSource
  /** The instant of the outstanding wake-up, Infinity when none is. */
  private armedFor = Infinity
  private asleep = true
  /** The present in milliseconds. */
  readonly now: () => number

  constructor(source: TimeSource) {
    this.source = source
    this.now = source.now
  }

  /** How many entries wait. */
  get size(): number {
    return this.heap.length
  }

  schedule(entry: Entry, at: number, now: number): void {
    entry.at = at
    this.rise(entry, this.heap.length)
    if (this.asleep) {
      this.asleep = false
      this.source.busy()
    }
    if (at < this.armedFor) {
      this.arm(at, now)
    } else if (this.source.isLost()) {
      this.arm(this.heap[0]!.at, now)
    }
  }

  cancel(entry: Entry): void {
    const place = entry.place
    if (place < 0) {
      return
    }
    entry.place = -1
    const last = this.heap.pop()!
    if (last !== entry) {
      if (place > 0 && last.at < this.heap[(place - 1) >> 1]!.at) {
        this.rise(last, place)
      } else {
        this.sink(last, place)
      }
    }
    if (this.heap.length === 0) {
      this.asleep = true
      this.source.idle()
    }
  }

  /** Calls `go` when all input has been read that was there when this was called. */
  afterInput(go: () => void): void {
    // What this very turn was called for may be input itself: what came meanwhile is read in the next one.
    this.source.settle(() => this.source.settle(go))
  }

  private arm(at: number, now: number): void {
    this.armedFor = at
    this.source.wakeAfter(Math.min(Math.max(0, Math.ceil(at - now)), longestTimer), this.wake)
  }

  private readonly wake = (): void => {
    const head = this.heap[0]
    this.armedFor = Infinity
    if (head === undefined) {
      return
    }
    const now = this.now()
    if (now - head.at > lateness) {
      this.source.settle(this.ringDue)
    } else {
      this.ringDue()
    }
  }

  private readonly ringDue = (): void => {
    const now = this.now()
    let head = this.heap[0]
    while (head !== undefined && head.at <= now) {
      this.cancel(head)
      head.ring(now - head.at)
      head = this.heap[0]
    }
    // An early wake-up, a clamped one, or a clock that was set backwards: ask again for what is still to come.
    if (head !== undefined && head.at < this.armedFor) {
      this.arm(head.at, now)
    }
  }

  private rise(entry: Entry, from: number): void {
    const heap = this.heap
    let place = from
    while (place > 0) {
      const above = (place - 1) >> 1
      const parent = heap[above]!
      if (parent.at <= entry.at) {
        break
      }
      heap[place] = parent
      parent.place = place
      place = above
    }
    heap[place] = entry
    entry.place = place
  }

  private sink(entry: Entry, from: number): void {
    const heap = this.heap
    const size = heap.length
    let place = from
    for (;;) {
      let below = 2 * place + 1
      if (below >= size) {
        break
      }
      if (below + 1 < size && heap[below + 1]!.at < heap[below]!.at) {
        below++
      }
      const child = heap[below]!
      if (child.at >= entry.at) {
        break
      }
      heap[place] = child
      child.place = place
      place = below
    }
    heap[place] = entry
    entry.place = place
  }
}

const queues = new WeakMap<Clock.Clock, Alarms>()
let latestClock: Clock.Clock | undefined
let latestQueue: Alarms | undefined

/**
 * The queue of a clock, made on first use.
 *
 * @internal
 */
export const of = (clock: Clock.Clock): Alarms => {
  if (clock === latestClock) {
    return latestQueue!
  }
  let queue = queues.get(clock)
  if (queue === undefined) {
    queue = new Alarms(sourceOf(clock))
    queues.set(clock, queue)
  }
  latestClock = clock
  latestQueue = queue
  return queue
}
