/**
 * The worst case of a chain of limits, waits and retries: the longest it can take and the most attempts it can make, over every
 * behaviour of the dependency and every draw of the random source.
 */

/**
 * What the arithmetic needs to know of one step; all times in milliseconds.
 *
 * @internal
 */
export type Node =
  /** Cuts what is inside after `millis`. A `deadline` is known to the retries inside it, and makes them give up early. */
  | { readonly _tag: "Limit"; readonly millis: number; readonly deadline: boolean }
  /** Lets a call wait for at most `millis`. */
  | { readonly _tag: "Wait"; readonly millis: number }
  /** `shortest` and `longest` are the ends of the delay before the retry with this number, 0 for the first. */
  | {
    readonly _tag: "Retry"
    readonly retries: number
    readonly shortest: (retry: number) => number
    readonly longest: (retry: number) => number
  }
  /** May do anything with what is inside. */
  | { readonly _tag: "Unknown" }

/** @internal */
export type Retrying = Extract<Node, { readonly _tag: "Retry" }>

/**
 * `exact` says that a dependency can be imagined that gets as close to the figures as one likes; otherwise they are upper bounds.
 *
 * @internal
 */
export interface Reckoned {
  readonly millis: number
  readonly attempts: number
  readonly exact: boolean
}

/** @internal */
export const sum = (count: number, of: (index: number) => number): number => {
  let total = 0
  for (let index = 0; index < count; index++) {
    total += of(index)
  }
  return total
}

/** What a chain can do when nothing around it rings. */
interface Profile {
  readonly longest: number
  /** The least time in which it can end with a failure that is worth a retry. */
  readonly shortest: number
  /** The most attempts that can begin before `cap` milliseconds have passed. */
  readonly attempts: (cap: number) => number
}

/** The dependency itself: it may hang, and it may fail at once. */
const call: Profile = { longest: Infinity, shortest: 0, attempts: (cap) => cap > 0 ? 1 : 0 }

const limited = (inner: Profile, millis: number): Profile => ({
  longest: Math.min(millis, inner.longest),
  shortest: Math.min(millis, inner.shortest),
  attempts: (cap) => inner.attempts(Math.min(millis, cap))
})

const retried = (inner: Profile, node: Retrying, deadline: number): Profile => {
  // A retry whose earliest beginning lies beyond the deadline is never made.
  let retries = 0
  for (let start = 0; retries < node.retries; retries++) {
    start += inner.shortest + node.shortest(retries)
    if (start >= deadline) {
      break
    }
  }
  const whole = inner.attempts(Infinity)
  return {
    longest: (retries + 1) * inner.longest + sum(retries, node.longest),
    shortest: (retries + 1) * inner.shortest + sum(retries, node.shortest),
    attempts: (cap) => {
      if (cap === Infinity) {
        return (retries + 1) * whole
      }
      let attempts = 0
      for (let retry = 0, start = 0; retry <= retries && start < cap; retry++) {
        const left = cap - start
        attempts += left > inner.shortest ? whole : inner.attempts(left)
        start += inner.shortest + node.shortest(retry)
      }
      return attempts
    }
  }
}

const profileOf = (chain: ReadonlyArray<Node>, deadline = Infinity): Profile =>
  chain.reduceRight((inner: Profile, node): Profile => {
    switch (node._tag) {
      case "Limit":
        return limited(inner, node.millis)
      case "Wait":
        return { ...inner, longest: node.millis + inner.longest }
      case "Retry":
        return retried(inner, node, deadline)
      case "Unknown":
        return { longest: Infinity, shortest: 0, attempts: (cap) => cap > 0 ? Infinity : 0 }
    }
  }, call)

// -- retries in retries within a deadline --------------------------------------

/** A retry with what may pass between its attempt and the next retry inside it. */
interface Level {
  readonly node: Retrying
  readonly wait: number
}

/** One way through the retries, up to the beginning of its last attempt. */
interface Way {
  /** The retries that each level has used. */
  readonly used: ReadonlyArray<number>
  readonly low: number
  readonly high: number
  readonly made: number
}

/** More steps than this, and the product of the retries is told as an upper bound. */
const mostVisits = 20_000

/**
 * An inner retry that gives up before the deadline hands over to an outer one, whose delay may be shorter: then a dependency that
 * answers late can cause more attempts than one that fails at once. So the ways are followed one by one. All that is kept of a way
 * is between which instants its last attempt can begin; that is an interval, since an attempt may end whenever it likes.
 */
const search = (
  levels: ReadonlyArray<Level>,
  before: number,
  longest: number,
  deadline: number
): Reckoned | undefined => {
  let millis = 0
  let attempts = 0
  let visits = 0
  const seen = new Map<string, Array<Way>>()
  const waits = levels.reduce((total, level) => total + level.wait, before)
  const open: Array<Way> = [{ used: levels.map(() => 0), low: 0, high: Math.min(deadline, waits), made: 1 }]
  for (let way = open.pop(); way !== undefined && visits <= mostVisits; way = open.pop()) {
    const { high, low, made, used } = way
    const key = used.join()
    const others = seen.get(key) ?? []
    if (others.some((other) => other.low <= low && other.high >= high && other.made >= made)) {
      continue
    }
    visits++
    others.push(way)
    seen.set(key, others)
    const latestEnd = Math.min(deadline, high + longest)
    attempts = Math.max(attempts, made)
    millis = Math.max(millis, latestEnd)
    let earliestEnd = low
    for (let level = levels.length - 1; level >= 0 && earliestEnd <= latestEnd; level--) {
      const { node } = levels[level]!
      const retry = used[level]!
      if (retry < node.retries) {
        const start = earliestEnd + node.shortest(retry)
        if (start < deadline) {
          const waits = levels.slice(level).reduce((total, inner) => total + inner.wait, 0)
          open.push({
            used: used.map((count, index) => index < level ? count : index === level ? count + 1 : 0),
            low: start,
            high: Math.min(deadline, latestEnd + node.longest(retry) + waits),
            made: made + 1
          })
        }
        // The level outside has its turn only if this one gives up: at the end of the attempt its delay must reach the deadline.
        earliestEnd = Math.max(earliestEnd, deadline - node.longest(retry))
      }
    }
  }
  return visits > mostVisits ? undefined : { millis, attempts, exact: true }
}

/** What is inside a deadline, in the shape that the search can follow: waits, retries with waits, and limits innermost only. */
const levelsOf = (chain: ReadonlyArray<Node>) => {
  const last = chain.reduce((place, node, index) => node._tag === "Retry" ? index : place, -1)
  const levels: Array<{ node: Retrying; wait: number }> = []
  let before = 0
  for (const node of chain.slice(0, last + 1)) {
    if (node._tag === "Retry") {
      levels.push({ node, wait: 0 })
    } else if (node._tag === "Wait") {
      if (levels.length === 0) {
        before += node.millis
      } else {
        levels[levels.length - 1]!.wait += node.millis
      }
    } else {
      return undefined
    }
  }
  return { levels, before, innermost: chain.slice(last + 1) }
}

const withinDeadline = (chain: ReadonlyArray<Node>, deadline: number): Reckoned => {
  const profile = profileOf(chain, deadline)
  const retries = chain.filter((node) => node._tag === "Retry")
  const reckoned = {
    millis: Math.min(deadline, profile.longest),
    attempts: profile.attempts(deadline),
    exact: true
  }
  const innerDelays = retries.slice(1).some((node) => node.retries > 0 && sum(node.retries, node.shortest) > 0)
  if (!innerDelays) {
    return reckoned
  }
  const natural = profileOf(chain)
  const shape = levelsOf(chain)
  const found = shape === undefined
    ? undefined
    : search(shape.levels, shape.before, profileOf(shape.innermost).longest, deadline)
  return found ??
    { millis: Math.min(deadline, natural.longest), attempts: natural.attempts(Infinity), exact: false }
}

/**
 * The worst case of a chain, outermost first.
 *
 * @internal
 */
export const reckon = (chain: ReadonlyArray<Node>): Reckoned => {
  const place = chain.findIndex((node) => node._tag === "Limit" && node.deadline)
  const unknown = chain.some((node) => node._tag === "Unknown")
  if (place < 0 || unknown) {
    const profile = profileOf(chain)
    return { millis: profile.longest, attempts: profile.attempts(Infinity), exact: !unknown }
  }
  // Before a deadline there are only gates that wait: it counts from the end of the waits.
  const inner = withinDeadline(chain.slice(place + 1), (chain[place] as { readonly millis: number }).millis)
  const waits = chain.slice(0, place).reduce((total, node) => total + (node._tag === "Wait" ? node.millis : 0), 0)
  return { ...inner, millis: waits + inner.millis }
}

/** No number of retries above this one is looked at. */
const mostRetries = 1000

/** How many steps, one after the other, are over by `available`, with what is spent before the first of them. */
const stepsThatFit = (available: number, before: number, most: number, step: (made: number) => number): number => {
  let steps = 0
  for (let spent = before; steps < most; steps++) {
    spent += step(steps)
    if (spent > available) {
      break
    }
  }
  return steps
}

/**
 * The most retries that fit: `undefined` if not even one attempt does.
 *
 * @internal
 */
export const retriesThatFit = (
  available: number,
  attempt: number,
  delay: (retry: number) => number
): number | undefined =>
  attempt > available ? undefined : stepsThatFit(available, attempt, mostRetries, (made) => delay(made) + attempt)

/**
 * The same with a delay charged after the last attempt too: never more than `retriesThatFit`, and never below 0 where that is known.
 *
 * @internal
 */
export const retriesThatFitCautiously = (
  available: number,
  attempt: number,
  delay: (retry: number) => number
): number | undefined =>
  attempt > available
    ? undefined
    : Math.max(0, stepsThatFit(available, 0, mostRetries + 1, (made) => attempt + delay(made)) - 1)

/**
 * A time as a reader likes it: `9.6 s`, `50 ms`, `5 min`.
 *
 * @internal
 */
export const time = (millis: number): string => {
  if (millis === Infinity) {
    return "no limit"
  }
  if (millis !== 0 && millis < 100) {
    return `${Number(millis.toFixed(2))} ms`
  }
  return millis >= 60_000 && millis % 60_000 === 0
    ? `${millis / 60_000} min`
    : `${Number((millis / 1000).toFixed(3))} s`
}

/**
 * A time that was measured: three digits say enough.
 *
 * @internal
 */
export const about = (millis: number): string => time(Number(millis.toPrecision(3)))

/**
 * A share that was measured: two digits say enough.
 *
 * @internal
 */
export const aboutPercent = (share: number): string => `${Number((share * 100).toPrecision(2))} %`
