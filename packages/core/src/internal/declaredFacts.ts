/**
 * What an operation declares of its calls, and what that means for one call: the one place where facts of several sources meet.
 */
import type * as Call from "../Call.js"

/**
 * The facts that a declaration can state.
 *
 * @internal
 */
export interface DeclaredFacts extends Pick<Call.Facts, "operation" | "repeatable" | "criticality"> {
  /** What is declared of the operations that a call may name, where the policy is that of all of them. */
  readonly operations?: ReadonlyMap<string, DeclaredFacts> | undefined
}

/**
 * Of several sources that say whether a call may be made twice, one `false` is enough.
 */
const repeatableBy = (one: boolean | undefined, other: boolean | undefined): boolean | undefined =>
  one === false || other === false ? false : one ?? other

/**
 * May the call be made twice? The default of the transport counts only where neither the call nor its operation says anything.
 *
 * @internal
 */
export const isRepeatable = ({ repeatable, repeatableByDefault }: Call.Facts): boolean =>
  repeatable ?? repeatableByDefault ?? true

/**
 * The one that matters most comes first.
 *
 * @internal
 */
export const criticalities: ReadonlyArray<Call.Criticality> = ["critical", "important", "optional"]

/**
 * What a call is that no source says anything of.
 *
 * @internal
 */
export const defaultCriticality: Call.Criticality = "important"

/**
 * The one that matters more.
 *
 * @internal
 */
export const heavier = (
  one: Call.Criticality | undefined,
  other: Call.Criticality | undefined
): Call.Criticality | undefined =>
  one === undefined || other === undefined
    ? one ?? other
    : criticalities.indexOf(other) < criticalities.indexOf(one)
    ? other
    : one

/**
 * The facts of a call under the declaration of its operation. A fact that is there but undefined is not given.
 *
 * @internal
 */
export const underDeclared = <F extends Call.Facts>(given: F, declared: DeclaredFacts): F => {
  const named = given.operation === undefined ? undefined : declared.operations?.get(given.operation)
  const facts = named === undefined ? given : underDeclared(given, named)
  const operation = facts.operation ?? declared.operation
  const criticality = facts.criticality ?? declared.criticality
  const repeatable = repeatableBy(facts.repeatable, declared.repeatable)
  return operation === facts.operation && criticality === facts.criticality && repeatable === facts.repeatable
    ? facts
    : { ...facts, operation, criticality, repeatable }
}

/**
 * What several policies declare of the calls that pass all of them, outermost first.
 *
 * @internal
 */
export const declaredByAll = (all: ReadonlyArray<DeclaredFacts | undefined>): DeclaredFacts | undefined =>
  all.reduce(
    (outer, inner) =>
      outer === undefined || inner === undefined
        ? outer ?? inner
        : { ...underDeclared(outer, inner), operations: outer.operations ?? inner.operations },
    undefined
  )
