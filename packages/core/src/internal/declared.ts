/**
 * The dependencies that the program declares. They are few and known, so what keeps a bounded number of names keeps these in any case.
 */
import { globalValue } from "effect/GlobalValue"

const declared = globalValue(
  Symbol.for("@holdfast/core/Dependency/declared"),
  () => new Map<string, Set<string>>()
)

/** @internal */
export const declare = (dependency: string, operations: Iterable<string>): void => {
  const known = declared.get(dependency) ?? new Set()
  for (const operation of operations) {
    known.add(operation)
  }
  declared.set(dependency, known)
}

/**
 * Whether the layer of a dependency of this name, with this operation, was built in this process.
 *
 * @since 0.1.0
 */
export const isDeclared = (dependency: string | undefined, operation?: string | undefined): boolean => {
  const operations = dependency === undefined ? undefined : declared.get(dependency)
  return operations !== undefined && (operation === undefined || operations.has(operation))
}
