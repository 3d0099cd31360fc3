/**
 * A value that was given, as text: it may be anything, a BigInt or an object whose getters throw.
 *
 * @internal
 */
export const shown = (value: unknown): string => {
  try {
    return typeof value === "bigint" ? `${value}n` : JSON.stringify(value) ?? String(value)
  } catch {
    return typeof value === "object" ? "an object that cannot be written" : `a ${typeof value}`
  }
}
