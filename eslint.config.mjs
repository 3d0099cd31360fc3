/**
 * Lint: Effect's formatting, typescript-eslint without type information (so that it stays fast), and the project's own
 * rules, each bound to the files that its constraint is about.
 */
import * as effect from "@effect/eslint-plugin"
import tseslint from "typescript-eslint"
import holdfast from "./scripts/eslint/plugin.mjs"

const machines = [
  "*Machine",
  "Window",
  "TripPolicy",
  "TokenBucket",
  "BulkheadQueue",
  "LatencyHistogram",
  "blastRadius",
  "callsInFlight",
  "chaosDraw",
  "openPeriod",
  "probeSlots",
  "stateTime",
  "ticket",
  "tripCounters"
]
  .map((name) => `packages/*/src/**/${name}.ts`)

export default tseslint.config(
  {
    ignores: [
      "**/build/",
      "**/dist/",
      "**/coverage/",
      "**/reports/",
      "**/apidocs/",
      "**/.stryker-tmp/",
      "**/.tsbuildinfo/"
    ]
  },
  {
    name: "holdfast/all",
    files: ["**/*.ts", "**/*.mts", "**/*.mjs"],
    extends: [tseslint.configs.recommended],
    plugins: { "@effect": effect },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@effect/dprint": ["error", {
        config: {
          indentWidth: 2,
          lineWidth: 120,
          semiColons: "asi",
          quoteStyle: "alwaysDouble",
          trailingCommas: "never",
          operatorPosition: "maintain",
          "arrowFunction.useParentheses": "force"
        }
      }],
      "@typescript-eslint/array-type": ["error", { default: "generic", readonly: "generic" }],
      "@typescript-eslint/consistent-type-imports": ["error", { disallowTypeAnnotations: false }],
      "@typescript-eslint/no-import-type-side-effects": "error",
      "@typescript-eslint/no-unused-vars": ["error", {
        argsIgnorePattern: "^_",
        varsIgnorePattern: "^_",
        caughtErrorsIgnorePattern: "^_",
        destructuredArrayIgnorePattern: "^_"
      }],
      // `any` and `{}` are how Effect's own signatures constrain a type parameter.
      "@typescript-eslint/no-explicit-any": "off",
      "@typescript-eslint/no-empty-object-type": "off",
      "@typescript-eslint/no-unsafe-function-type": "off",
      "@typescript-eslint/no-this-alias": ["error", { allowedNames: ["self"] }],
      // A class and the namespace of its types share one name.
      "@typescript-eslint/no-namespace": "off",
      // `pipe()` is written with `arguments`; a generator may only return.
      "prefer-rest-params": "off",
      "prefer-spread": "off",
      "require-yield": "off",
      "object-shorthand": "off",
      "no-console": "off",
      "no-constant-binary-expression": "error",
      "no-debugger": "error",
      "no-dupe-else-if": "error",
      "no-duplicate-case": "error",
      "no-fallthrough": "error",
      "no-self-assign": "error",
      "no-self-compare": "error",
      "no-unreachable-loop": "error",
      "no-unsafe-finally": "error",
      "no-unused-labels": "error",
      "no-useless-rename": "error"
    }
  },
  {
    name: "holdfast/sources",
    files: ["packages/*/src/**/*.ts"],
    plugins: { holdfast },
    rules: {
      "@effect/no-import-from-barrel-package": ["error", {
        packageNames: ["effect", "@effect/platform", "@effect/platform-node", "@holdfast/core"]
      }],
      "no-console": "error",
      "holdfast/no-name-field-in-errors": "error",
      "holdfast/no-live-clock": "error",
      "holdfast/no-faulty-effect-api": "error",
      "holdfast/no-runtime-internals": "error"
    }
  },
  {
    name: "holdfast/public modules",
    files: ["packages/*/src/**/*.ts"],
    ignores: ["packages/bench/**", "packages/*/src/internal/**", "packages/*/src/index.ts"],
    plugins: { holdfast },
    rules: { "holdfast/documented-exports": "error" }
  },
  {
    name: "holdfast/machines",
    files: machines,
    plugins: { holdfast },
    rules: { "holdfast/machine-purity": "error" }
  },
  {
    name: "holdfast/the places that know the live clock",
    // The time of a real network is live, whatever clock a test runs under.
    files: ["packages/core/src/Alarm.ts", "packages/testkit/src/internal/networkTime.ts"],
    rules: { "holdfast/no-live-clock": "off" }
  },
  {
    name: "holdfast/the one place that knows the runtime",
    files: ["packages/core/src/internal/**/*.ts"],
    rules: { "holdfast/no-runtime-internals": "off" }
  },
  {
    name: "holdfast/tests",
    files: ["**/test/**/*.ts", "examples/**/*.ts"],
    plugins: { holdfast },
    rules: { "holdfast/no-name-field-in-errors": "error" }
  },
  {
    // Benchmarks measure the very pieces that the sources avoid, by the live clock.
    name: "holdfast/benchmarks",
    files: ["packages/bench/**/*.ts"],
    rules: { "holdfast/no-live-clock": "off", "holdfast/no-faulty-effect-api": "off", "no-console": "off" }
  }
)
