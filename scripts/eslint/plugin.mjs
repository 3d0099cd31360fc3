/**
 * The project's own lint rules: constraints of the design that a reader would otherwise have to remember.
 */
import documentedExports from "./documented-exports.mjs"
import machinePurity from "./machine-purity.mjs"
import noFaultyEffectApi from "./no-faulty-effect-api.mjs"
import noLiveClock from "./no-live-clock.mjs"
import noNameFieldInErrors from "./no-name-field-in-errors.mjs"
import noRuntimeInternals from "./no-runtime-internals.mjs"

/** @type {import("eslint").ESLint.Plugin} */
export default {
  meta: { name: "holdfast" },
  rules: {
    "documented-exports": documentedExports,
    "machine-purity": machinePurity,
    "no-faulty-effect-api": noFaultyEffectApi,
    "no-live-clock": noLiveClock,
    "no-name-field-in-errors": noNameFieldInErrors,
    "no-runtime-internals": noRuntimeInternals
  }
}
