/**
 * What a label says of a name. Two names never have one value: not those of a dependency and of an operation that read alike, not one that
 * is a word of ours, and not two that UTF-8 cannot tell apart.
 */
import { globalValue } from "effect/GlobalValue"
import { other, unnamed } from "../MetricFamilies.js"

/** Begins a value that is not the name as it is. */
const marker = "encoded:"

const reserved: ReadonlySet<string> = new Set([other, unnamed])

/**
 * The value of a label for a name. A half of a surrogate pair has no form in UTF-8, and `other` and `unnamed` are words of ours: such a
 * name, and one that begins with the marker, is `encoded:` and the name with `%` as `%25` and half a pair as `%uD800`.
 *
 * @internal
 */
export const labelValue = (name: string): string => reserved.has(name) ? marker + name : wellFormed(name)

/**
 * A text that UTF-8 can hold, as `labelValue` makes it, without words of ours.
 *
 * @internal
 */
export const wellFormed = (name: string): string =>
  /\p{Surrogate}/u.test(name) || name.startsWith(marker)
    ? marker + name.replace(
      /%|\p{Surrogate}/gu,
      (unit) => unit === "%" ? "%25" : `%u${unit.charCodeAt(0).toString(16).toUpperCase()}`
    )
    : name

/** Begins the key of a list of names. */
const listed = "\u0000"

/**
 * One key for a dependency, or for an operation that has pieces of its own.
 *
 * @internal
 */
export const serviceKey = (dependency: string, operation?: string | undefined): string =>
  operation !== undefined
    ? listed + JSON.stringify([dependency, operation])
    : dependency.startsWith(listed)
    ? listed + JSON.stringify([dependency])
    : dependency

/**
 * The dependency of a key, and the operation where it is that of one.
 *
 * @internal
 */
export const namesOf = (key: string): ReadonlyArray<string> =>
  key.startsWith(listed) ? JSON.parse(key.slice(listed.length)) : [key]

/** Which service has a value of the label: it is the one that came first. */
const taken = globalValue(Symbol.for("@holdfast/metrics/services"), () => new Map<string, string>())

/**
 * The label of a service: `payments`, or `payments.charge` for an operation that has pieces of its own. Where another service has that
 * already, its names stand behind it.
 *
 * @internal
 */
export const serviceLabel = (key: string): string => {
  const names = namesOf(key)
  let label = labelValue(names.join("."))
  if ((taken.get(label) ?? key) !== key) {
    label = labelValue(`${names.join(".")} ${JSON.stringify(names)}`)
    while ((taken.get(label) ?? key) !== key) {
      label += "'"
    }
  }
  taken.set(label, key)
  return label
}
