/**
 * Finds the name that was meant by a misspelt one.
 */

/** How many letters have to be put in, left out or changed. */
const distance = (one: string, two: string): number => {
  let row = Array.from({ length: two.length + 1 }, (_, place) => place)
  for (let at = 1; at <= one.length; at++) {
    const next = [at]
    for (let place = 1; place <= two.length; place++) {
      const changed = row[place - 1]! + (one[at - 1] === two[place - 1] ? 0 : 1)
      next.push(Math.min(changed, row[place]! + 1, next[place - 1]! + 1))
    }
    row = next
  }
  return row[two.length]!
}

/**
 * The name that was meant, if one is near enough: a slip is a quarter of the letters at most.
 *
 * @internal
 */
export const nearest = (name: string, names: ReadonlyArray<string>): string | undefined => {
  const ranked = names.map((one) => ({ one, apart: distance(name, one) })).sort((a, b) => a.apart - b.apart)
  return ranked[0] !== undefined && ranked[0].apart <= Math.ceil(name.length / 4) ? ranked[0].one : undefined
}
