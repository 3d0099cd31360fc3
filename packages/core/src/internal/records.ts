/**
 * Names as keys: two different names, or lists of names, are never one.
 */
import type * as Call from "../Call.js"

/**
 * One key for several names, none of which can be taken for a part of another.
 *
 * @internal
 */
export const keyOf = (...names: ReadonlyArray<unknown>): string => JSON.stringify(names)

/**
 * The dependency whose stack a piece is of, by its name `payments.charge.bulkhead`; `undefined` for a piece that is named otherwise, which
 * several dependencies may share.
 *
 * @internal
 */
export const ownerOf = (dependency: string | undefined, piece: string): string | undefined =>
  dependency !== undefined && piece.startsWith(`${dependency}.`) ? dependency : undefined

/**
 * The value that the record itself has under the name: `constructor` must not find what every object inherits.
 *
 * @internal
 */
export const ownValue = <A>(record: { readonly [name: string]: A }, name: string): A | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined

/**
 * The rows of each name, in their order. Who looks for the rows of many names looks here, not through all rows for each of them.
 *
 * @internal
 */
export const groupedBy = <A, Name>(
  rows: Iterable<A>,
  nameOf: (row: A) => Name
): ReadonlyMap<Name, ReadonlyArray<A>> => {
  const groups = new Map<Name, Array<A>>()
  for (const row of rows) {
    const name = nameOf(row)
    const group = groups.get(name)
    if (group === undefined) {
      groups.set(name, [row])
    } else {
      group.push(row)
    }
  }
  return groups
}

/** What is kept of one fallback. */
interface OfFallback {
  readonly fallback: string
  dependency: string | undefined
}

/**
 * What is kept of the fallback that stands in for a dependency: fallbacks of one name may stand in for several. An event that does not
 * say for which is about the first of them.
 *
 * @internal
 */
export const ofFallback = <A extends OfFallback>(
  rows: Map<string, A>,
  { call, fallback }: { readonly call?: Call.Call | undefined; readonly fallback: string },
  make: (key: string, dependency: string | undefined) => A | undefined
): A | undefined => {
  const dependency = call?.dependency
  const key = keyOf(dependency, fallback)
  const known = rows.get(key)
  if (known !== undefined) {
    return known
  }
  for (const [before, row] of rows) {
    if (row.fallback === fallback && (dependency === undefined || row.dependency === undefined)) {
      if (dependency !== undefined) {
        row.dependency = dependency
        rows.delete(before)
        rows.set(key, row)
      }
      return row
    }
  }
  return make(key, dependency)
}
