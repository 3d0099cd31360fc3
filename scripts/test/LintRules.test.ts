import { assert, describe, it } from "@effect/vitest"
import { ESLint, Linter } from "eslint"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import tseslint from "typescript-eslint"
import plugin from "../eslint/plugin.mjs"

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..")

/** The messages that one own rule gives for a snippet of TypeScript. */
const verify = (rule: string, code: string, filename = "snippet.ts"): ReadonlyArray<string> => {
  const messages = new Linter().verify(code, {
    files: ["**/*.ts"],
    languageOptions: { parser: tseslint.parser as Linter.Parser },
    plugins: { holdfast: plugin },
    rules: { [`holdfast/${rule}`]: "error" }
  }, { filename })
  for (const message of messages) {
    assert.strictEqual(message.ruleId, `holdfast/${rule}`, `the snippet does not parse: ${message.message}\n${code}`)
  }
  return messages.map((message) => message.message)
}

interface Cases {
  /** Snippets without a finding. */
  readonly good: ReadonlyArray<string>
  /** Snippets with exactly one finding, and words that its message must have. */
  readonly bad: ReadonlyArray<readonly [code: string, words: string]>
}

/** A module that is documented, with one export under the given doc comment. */
const documented = (tags: string, code: string) =>
  `/**\n * What it is for.\n *\n * @since 0.1.0\n */\nimport "./X.js"\n\n/**\n * Says.\n * ${tags}\n */\n${code}`

const rules: Record<string, Cases> = {
  "documented-exports": {
    good: [
      documented("@since 0.1.0\n * @category models", "export interface Window {}"),
      documented("@since 0.1.0\n * @category models\n * @example\n * code", "export const make = 1"),
      documented("@since 0.1.0\n * @category models\n * @example\n * code", "export class Cell {}"),
      documented("@since 0.1.0\n * @category models", "export type Cell = 1"),
      documented("@since 0.1.0\n * @category models", "export declare namespace Cell { export type Any = 1 }"),
      documented("@since 0.1.0\n * @category symbols", "export const CellTypeId: unique symbol = Symbol.for(\"Cell\")"),
      documented("@since 0.1.0\n * @category symbols", "export const TypeId = Symbol.for(\"Cell\")"),
      documented("@since 0.1.0\n * @category models", "export { type Cell } from \"./Y.js\""),
      documented("@since 0.1.0\n * @category models", "export type { Cell } from \"./Y.js\""),
      documented("@internal", "export const cell = 1"),
      documented("not exported", "const cell = 1"),
      documented(
        "@since 0.1.0\n * @category x\n * @example\n * code",
        "export function f(x: 1): 1\nexport function f(x: number) { return x }"
      ),
      documented("import { strictEqual } from \"node:assert\"", "const cell = 1")
    ],
    bad: [
      [`const x = 1`, "open the file with a doc comment"],
      [`/** What it is for. */\nconst x = 1`, "open the file with a doc comment"],
      [documented("@since 0.1.0\n * @example\n * code", "export const cell = 1"), "`cell` is public"],
      [documented("@category models", "export type Cell = 1"), "lacks `@since`"],
      [documented("@example", "export class Cell {}"), "lacks `@since` and `@category`"],
      [documented("@example", "export { x } from \"./Y.js\""), "`x` is public"],
      [documented("@example", "export function f() {}"), "`f` is public"],
      [documented("@since 0.1.0\n * @category constructors", "export const make = 1"), "needs an `@example`"],
      [documented("@since 0.1.0\n * @category models", "export const cell = 1"), "`cell` is a value"],
      [documented("@since 0.1.0\n * @category errors", "export class Cell {}"), "`Cell` is a value"],
      [documented("@since 0.1.0\n * @category guards", "export function isCell() {}"), "`isCell` is a value"],
      [documented("@since 0.1.0\n * @category models", "export { x as cell } from \"./Y.js\""), "`cell` is a value"],
      [documented("import * as assert from \"node:assert\"\n * assert.ok(1)", "const x = 1"), "import { strictEqual }"]
    ]
  },
  "machine-purity": {
    good: [
      `import { type Window } from "./Window.js"\nexport const at = (now: number, window: Window) => [now, window]`,
      `export const longest = Math.max(1, 2)`,
      `export const since = (performance: number, process: number) => performance - process`,
      `export type Instant = Date`,
      `export interface Timer { readonly setTimeout: number }\nexport const read = (timer: Timer) => timer.setTimeout`
    ],
    bad: [
      [`import { pipe } from "effect"\nexport const x = pipe`, `does not import "effect"`],
      [`import * as Duration from "effect/Duration"\nexport const x = Duration`, `"effect/Duration"`],
      [`import type * as Duration from "effect/Duration"\nexport type X = Duration.Duration`, `"effect/Duration"`],
      [`export { pipe } from "effect/Function"`, `"effect/Function"`],
      [`export * from "effect/Function"`, `"effect/Function"`],
      [`export type X = import("effect/Duration").Duration`, `"effect/Duration"`],
      [`export const load = () => import("effect/Duration")`, `"effect/Duration"`],
      [`import { randomInt } from "node:crypto"\nexport const x = randomInt`, `"node:crypto"`],
      [`export const now = () => Date.now()`, "does not use Date"],
      [`export const now = () => new Date()`, "does not use Date"],
      [`export const draw = () => Math.random()`, "Math.random"],
      [`export const draw = Math["random"]`, "Math.random"],
      [`export const wake = (f: () => void) => setTimeout(f, 1)`, "setTimeout"],
      [`export const wake = (f: () => void) => globalThis.setTimeout(f, 1)`, "setTimeout"],
      [`export const wake = (f: () => void) => setInterval(f, 1)`, "setInterval"],
      [`export const wake = (f: () => void) => setImmediate(f)`, "setImmediate"],
      [`export const wake = (f: () => void) => queueMicrotask(f)`, "queueMicrotask"],
      [`export const now = () => performance.now()`, "performance"],
      [`export const now = () => process.hrtime()`, "process"]
    ]
  },
  "no-live-clock": {
    good: [
      `import * as Clock from "effect/Clock"\nexport const now = Clock.currentTimeMillis`,
      `export const parse = (text: string) => Date.parse(text)`,
      `export const at = (millis: number) => new Date(millis).toISOString()`,
      `export const schedule = (setTimeout: (f: () => void) => void) => setTimeout(() => {})`,
      `export const has = (clock: object | undefined) => clock !== undefined && clock !== null`,
      `export const isWord = (clock: "live" | "test") => clock === "live"`,
      `export const same = (left: object, right: object) => left === right`,
      `export const late = (clock: { now: () => number }) => clock.now() > 20`
    ],
    bad: [
      [`export const now = () => Date.now()`, "Date.now is the live time"],
      [`export const now = Date.now`, "Date.now"],
      [`export const now = () => new Date()`, "new Date()"],
      [`export const now = () => performance.now()`, "performance.now"],
      [`export const now = () => globalThis.performance.now()`, "performance.now"],
      [`export const now = () => process.hrtime.bigint()`, "process.hrtime"],
      [`export const wake = (f: () => void) => setTimeout(f, 1)`, "setTimeout wakes by the live clock"],
      [`export const wake = (f: () => void) => globalThis.setInterval(f, 1)`, "setInterval"],
      [`export const wake = (f: () => void) => setImmediate(f)`, "setImmediate"],
      [`import { setTimeout } from "node:timers/promises"\nexport const x = setTimeout`, "node:timers/promises"],
      [`export const live = (clock: object, other: object) => clock === other`, "Comparing clock"],
      [`export const live = (frame: { clock: object }, other: object) => other !== frame.clock`, "Comparing clock"],
      [`export const live = (other: object, defaultClock: object) => other == defaultClock`, "defaultClock"],
      [`export const live = (clock: object) => Object.is(clock, globalThis)`, "Comparing clock"],
      [`export const live = (clock: object) => clock instanceof Map`, "Comparing clock"]
    ]
  },
  "no-name-field-in-errors": {
    good: [
      `class TimedOut extends Data.TaggedError("TimedOut")<{ readonly policy: string }> {}`,
      `class PaymentBusy extends Failure.Retryable("PaymentBusy")<{ readonly card: { readonly name: string } }> {}`,
      `class Person extends Data.TaggedClass("Person")<{ readonly name: string }> {}`,
      `class Other extends Base<{ readonly name: string }> {}`
    ],
    bad: [
      [`class TimedOut extends Data.TaggedError("TimedOut")<{ readonly name: string }> {}`, "Error.prototype.name"],
      [`class Busy extends Failure.Retryable("Busy")<{ name: string, readonly card: string }> {}`, "`policy`"],
      [`class Busy extends Failure.Overloaded("Busy")<{ "name": string }> {}`, "Error.prototype.name"],
      [`class Gone extends Failure.Permanent("Gone")<Readonly<{ name?: string }>> {}`, "Error.prototype.name"],
      [`class Gone extends TaggedError("Gone")<{ a: 1 } & { name: string }> {}`, "Error.prototype.name"],
      [`export const Gone = class extends Data.Error<{ name: string }> {}`, "Error.prototype.name"]
    ]
  },
  "no-faulty-effect-api": {
    good: [
      `import * as Effect from "effect/Effect"\nexport const x = Effect.sleep("1 second")`,
      `import { timeout } from "./Timeout.js"\nexport const x = timeout`,
      `import * as RateLimiter from "./RateLimiter.js"\nexport const x = RateLimiter`,
      `export const run = (Effect: { timeout: number }) => Effect.timeout`
    ],
    bad: [
      [`import * as Effect from "effect/Effect"\nexport const x = Effect.makeSemaphore(1)`, "hands permits over"],
      [
        `import * as Effect from "effect/Effect"\nexport const x = Effect.unsafeMakeSemaphore(1)`,
        "unsafeMakeSemaphore"
      ],
      [`import { Effect } from "effect"\nexport const x = Effect.timeoutFail`, "Effect.timeoutFail"],
      [`import * as Fx from "effect/Effect"\nexport const x = Fx.timeout`, "Effect.timeout"],
      [`import * as Effect from "effect/Effect"\nexport const { timeout: t } = Effect`, "Effect.timeout"],
      [`import { timeoutTo } from "effect/Effect"\nexport const x = timeoutTo`, "Effect.timeoutTo"],
      [`import * as Effect from "effect/Effect"\nexport const x = Effect["cachedFunction"]`, "Effect.cachedFunction"],
      [`import * as Effect from "effect/Effect"\nexport const x = Effect.cached`, "interrupted for ever"],
      [`import * as Effect from "effect/Effect"\nexport const x = Effect.raceFirst`, "Effect.raceFirst"],
      [`import * as Effect from "effect/Effect"\nexport const x = Effect.race`, "hangs for good"],
      [`import * as P from "effect/PartitionedSemaphore"\nexport const x = P`, "leaks permits"],
      [`import { PartitionedSemaphore } from "effect"\nexport const x = PartitionedSemaphore`, "leaks permits"],
      [`export * from "effect/RateLimiter"`, "TokenBucket"],
      [`import { RateLimiter } from "effect"\nexport const x = RateLimiter`, "854 of 1,000"]
    ]
  },
  "no-runtime-internals": {
    good: [
      `class Waiting { _queue = 1; size() { return this._queue } }`,
      `export const x = (node: { children: number }) => node.children`
    ],
    bad: [
      [`export const x = (fiber: any) => fiber._children`, "`_children` is a private field"],
      [`export const x = (fiber: any) => fiber["_steps"]`, "`_steps`"],
      [`export const x = (fiber: any) => fiber._stack.length`, "`_stack`"],
      [`export const x = ({ _queue }: any) => _queue`, "`_queue`"],
      [`export const x = (op: any) => op.effect_instruction_i0`, "effect_instruction_i0"],
      [`export const x = (fiber: object) => "_children" in fiber`, "`_children`"],
      [`export interface Fiber { readonly _children: Set<unknown> }`, "`_children`"]
    ]
  }
}

describe("LintRules", () => {
  it("every own rule has snippets", () => {
    assert.sameMembers(Object.keys(plugin.rules ?? {}), Object.keys(rules))
  })

  for (const [rule, cases] of Object.entries(rules)) {
    describe(rule, () => {
      for (const code of cases.good) {
        it(`lets pass: ${code.replace(/\n/g, " / ")}`, () => {
          assert.deepStrictEqual(verify(rule, code), [])
        })
      }
      for (const [code, words] of cases.bad) {
        it(`refuses: ${code.replace(/\n/g, " / ")}`, () => {
          const messages = verify(rule, code)
          assert.lengthOf(messages, 1)
          assert.include(messages[0], words)
        })
      }
    })
  }
})

describe("documented-exports", () => {
  it("asks for an example on every value in core and testkit, and on `make` alone in the other packages", () => {
    const value = documented("@since 0.1.0\n * @category models", "export const cell = 1")
    const make = documented("@since 0.1.0\n * @category constructors", "export const make = 1")
    const findings = (code: string, file: string) => verify("documented-exports", code, file).length
    for (const name of ["core", "testkit"]) assert.strictEqual(findings(value, `packages/${name}/src/Cell.ts`), 1)
    for (const name of ["http", "bench"]) {
      assert.strictEqual(findings(value, `packages/${name}/src/Cell.ts`), 0)
      assert.strictEqual(findings(make, `packages/${name}/src/Cell.ts`), 1)
    }
  })
})

describe("eslint.config.mjs", () => {
  const eslint = new ESLint({ cwd: root })

  /** The own rules in force for a file, by their short names. */
  const inForce = async (file: string): Promise<ReadonlyArray<string>> => {
    const config = await eslint.calculateConfigForFile(path.join(root, file))
    return Object.entries(config.rules as Record<string, [number]>)
      .filter(([name, [severity]]) => name.startsWith("holdfast/") && severity > 0)
      .map(([name]) => name.replace("holdfast/", ""))
      .sort()
  }

  const sources = [
    "documented-exports",
    "no-faulty-effect-api",
    "no-live-clock",
    "no-name-field-in-errors",
    "no-runtime-internals"
  ]

  it("binds the purity of machines to the machines and to nothing else", async () => {
    const machines = [
      "CircuitBreakerMachine",
      "RetryBudgetMachine",
      "Window",
      "TripPolicy",
      "TokenBucket",
      "BulkheadQueue",
      "LatencyHistogram"
    ]
    for (const machine of machines) {
      assert.deepStrictEqual(await inForce(`packages/core/src/${machine}.ts`), [...sources, "machine-purity"].sort())
    }
    assert.deepStrictEqual(await inForce("packages/core/src/CircuitBreaker.ts"), sources)
    assert.deepStrictEqual(await inForce("packages/http/src/RetryAfter.ts"), sources)
  })

  it("lets only Alarm.ts of core know the live clock", async () => {
    assert.notInclude(await inForce("packages/core/src/Alarm.ts"), "no-live-clock")
    assert.include(await inForce("packages/http/src/Alarm.ts"), "no-live-clock")
  })

  it("lets only the internal directory of core read the runtime's private fields", async () => {
    assert.notInclude(await inForce("packages/core/src/internal/runtime.ts"), "no-runtime-internals")
    assert.include(await inForce("packages/http/src/internal/runtime.ts"), "no-runtime-internals")
  })

  it("exempts tests from the rules about time, faulty parts and the runtime", async () => {
    assert.deepStrictEqual(await inForce("packages/core/test/Timeout.test.ts"), ["no-name-field-in-errors"])
  })

  it("refuses formatting that is not the project's", async () => {
    const findings = async (code: string) => {
      const [result] = await eslint.lintText(code, {
        filePath: path.join(root, "packages/core/src/internal/example.ts")
      })
      return result?.messages.map((message) => message.ruleId) ?? []
    }
    assert.deepStrictEqual(await findings("export const one = (x: number) => [x, \"1\"]\n"), [])
    assert.include(await findings("export const one = 1;\n"), "@effect/dprint")
    assert.include(await findings("export const one = '1'\n"), "@effect/dprint")
    assert.include(await findings("export const one = x => [x, 1]\n"), "@effect/dprint")
    assert.include(await findings("export const one = [\n  1,\n  2,\n]\n"), "@effect/dprint")
  })

  it("asks sources for namespace imports from subpaths", async () => {
    const [result] = await eslint.lintText("import { Duration } from \"effect\"\n\nexport const x = Duration.zero\n", {
      filePath: path.join(root, "packages/core/src/internal/example.ts")
    })
    assert.deepStrictEqual(result?.messages.map((message) => message.ruleId), ["@effect/no-import-from-barrel-package"])
  })
})
