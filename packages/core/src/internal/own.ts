/**
 * Names that are no dependencies: under them a service limits what comes in to itself.
 */
import type { Validation } from "../Options.js"

/**
 * What the limits of `@holdfast/http` for servers are called.
 *
 * @internal
 */
export const ownNames: ReadonlyArray<string> = ["http.server"]

/** @internal */
export const checkOwn = (check: Validation, own: unknown): void => {
  if (!Array.isArray(own) || !own.every((name) => typeof name === "string")) {
    check.add("own", own, "a list of names")
  }
}
