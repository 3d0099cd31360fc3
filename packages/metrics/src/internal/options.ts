/**
 * Refuses options that are no record or have a field that nobody knows: a misspelt one must not be ignored.
 */
import { InvalidOptions, unknownName, Validation } from "@holdfast/core/Options"

type Findings = Array<InvalidOptions["findings"][number]>

/** Throws the findings, if there are any. */
const refuse = (owner: string, findings: Findings): void => {
  if (findings.length > 0) {
    throw new InvalidOptions({ owner, findings })
  }
}

/**
 * Reads the one field that the options have. `read` answers with nothing where its value is none that is `allowed`.
 *
 * @internal
 */
export const readOption = <const Field extends string, Value, Read>(
  owner: string,
  options: { readonly [F in Field]?: Value | undefined },
  field: Field,
  otherwise: Value,
  read: (value: Value) => Read | undefined,
  allowed: string
): Read => {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    refuse(owner, [{ field: "options", value: options, allowed: "a record" }])
  }
  const findings: Findings = new Validation(owner).entries("options", options).filter(([given]) => given !== field).map(
    ([given, value]) => ({
      field: given,
      value,
      allowed: unknownName("field", given, [field])
    })
  )
  const given = options[field]
  const value = read(given === undefined ? otherwise : given)
  if (value === undefined) {
    findings.push({ field, value: given, allowed })
  }
  refuse(owner, findings)
  return value!
}
