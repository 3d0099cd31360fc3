/**
 * What each toxic does with the head of its line: plain state that is told the time, and knows no socket and no timer.
 */
import type * as Toxic from "../Toxic.js"

/**
 * How a stream ends: `half` as a peer ends its side and still reads, `close` as the whole connection is closed, `reset` as it is
 * reset. An end stands in the line behind the data before it.
 *
 * @internal
 */
export type End = "half" | "close" | "reset"

/** @internal */
export interface Item {
  /** The data still to go, or the end of the stream. */
  data: Uint8Array | undefined
  readonly end: End | undefined
  /** When it came into this line, in milliseconds. */
  readonly arrived: number
  /** What the behaviour has planned for it: its instant, or its slices. */
  due?: number | undefined
  slices?: Array<number> | undefined
}

/**
 * What happens next: data of this length passes, the head is thrown away, the stream ends, or nothing, until an instant or until
 * something else changes (`undefined`).
 *
 * @internal
 */
export type Next =
  | { readonly _tag: "Pass"; readonly bytes: number }
  | { readonly _tag: "Drop" }
  | { readonly _tag: "End"; readonly how: End }
  | { readonly _tag: "Wait"; readonly until: number | undefined }

/** @internal */
export interface Behaviour {
  /** How many bytes may stand in its line before the one in front must wait. */
  readonly room: number
  /** Asked as often as one likes; changes nothing but the plan of the head. `passed` counts the bytes since the toxic is there. */
  readonly next: (head: Item | undefined, now: number, passed: number) => Next
  /** Data of this length passed at `now`. */
  readonly onPass?: (head: Item, bytes: number) => void
  /** What the connection ends with when the toxic is taken away. */
  readonly onRemove?: End
}

const never: Next = { _tag: "Wait", until: undefined }
const drop: Next = { _tag: "Drop" }
const until = (instant: number): Next => ({ _tag: "Wait", until: instant })
const end = (how: End): Next => ({ _tag: "End", how })
const pass = (head: Item, bytes = head.data?.length ?? 0): Next =>
  head.end === undefined ? { _tag: "Pass", bytes } : end(head.end)

/** What a line holds that need not hold much: about one read of a socket. */
const little = 64 * 1024

/** A delay must not limit the rate, so what is under way may be much. */
const much = 32 * 1024 * 1024

/** @internal */
export const passThrough: Behaviour = {
  room: little,
  next: (head) => head === undefined ? never : pass(head)
}

const latency = ({ jitter, latency }: Toxic.Latency["attributes"], draw: () => number): Behaviour => ({
  room: much,
  next: (head, now) => {
    if (head === undefined) return never
    if (head.end !== undefined) return pass(head)
    head.due ??= head.arrived + latency + (jitter === 0 ? 0 : (2 * draw() - 1) * jitter)
    return now < head.due ? until(head.due) : pass(head)
  }
})

/** At most so much at once, so that a slow line is a slow flow and not one late burst. */
const flowMillis = 100

const bandwidth = ({ rate }: Toxic.Bandwidth["attributes"]): Behaviour => {
  let free = 0
  return {
    room: little,
    next: (head, now) => {
      if (head === undefined || rate === 0) return never
      if (head.data === undefined) return pass(head)
      const bytes = Math.min(head.data.length, Math.max(1, Math.floor(rate * flowMillis)))
      head.due ??= Math.max(free, head.arrived) + bytes / rate
      return now < head.due ? until(head.due) : pass(head, bytes)
    },
    onPass: (head) => {
      free = head.due ?? free
      head.due = undefined
    }
  }
}

const slowClose = ({ delay }: Toxic.SlowClose["attributes"]): Behaviour => ({
  room: little,
  next: (head, now) => {
    if (head === undefined) return never
    const due = head.end === undefined ? now : head.arrived + delay
    return now < due ? until(due) : pass(head)
  }
})

const timeout = ({ timeout }: Toxic.Timeout["attributes"], began: number): Behaviour => {
  const due = began + timeout
  return {
    room: little,
    next: (head, now) => {
      if (head !== undefined) return head.end === undefined ? drop : pass(head)
      if (timeout === 0) return never
      return now < due ? until(due) : end("close")
    },
    onRemove: "close"
  }
}

const resetPeer = ({ timeout }: Toxic.ResetPeer["attributes"]): Behaviour => ({
  room: little,
  next: (head, now) => {
    if (head === undefined) return never
    const due = head.arrived + timeout
    return now < due ? until(due) : end("reset")
  }
})

/** Halves, each moved from the middle by at most the variation, until a part is small enough. */
const slicesOf = (bytes: number, average: number, variation: number, draw: () => number): Array<number> => {
  if (bytes - average <= variation) return [bytes]
  const shift = variation === 0 ? 0 : Math.floor(draw() * variation * 2) - variation
  const middle = Math.min(bytes - 1, Math.max(1, Math.floor(bytes / 2) + shift))
  return [
    ...slicesOf(middle, average, variation, draw),
    ...slicesOf(bytes - middle, average, variation, draw)
  ]
}

const slicer = (attributes: Toxic.Slicer["attributes"], draw: () => number): Behaviour => {
  const delay = attributes.delay / 1000
  // Timers count in milliseconds: what is planned to the microsecond passes together, and the rate is right.
  let free = 0
  return {
    room: little,
    next: (head, now) => {
      if (head === undefined) return never
      if (head.data === undefined) return pass(head)
      if (now < free) return until(free)
      head.slices ??= slicesOf(head.data.length, attributes.average_size, attributes.size_variation, draw)
      return pass(head, head.slices[0])
    },
    onPass: (head) => {
      head.slices?.shift()
      free = Math.max(free, head.arrived) + delay
    }
  }
}

const limitData = ({ bytes }: Toxic.LimitData["attributes"]): Behaviour => ({
  room: little,
  next: (head, _, passed) => {
    const left = bytes - passed
    if (head === undefined) return passed > 0 && left <= 0 ? end("close") : never
    if (head.data === undefined) return pass(head)
    return left <= 0 ? end("close") : pass(head, Math.min(left, head.data.length))
  }
})

/**
 * The behaviour of a toxic on one stream of one connection, which it began to touch at `began`.
 *
 * @internal
 */
export const make = (toxic: Toxic.Toxic, began: number, draw: () => number): Behaviour => {
  switch (toxic.type) {
    case "latency":
      return latency(toxic.attributes, draw)
    case "bandwidth":
      return bandwidth(toxic.attributes)
    case "slow_close":
      return slowClose(toxic.attributes)
    case "timeout":
      return timeout(toxic.attributes, began)
    case "reset_peer":
      return resetPeer(toxic.attributes)
    case "slicer":
      return slicer(toxic.attributes, draw)
    case "limit_data":
      return limitData(toxic.attributes)
  }
}
