import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

/**
 * A layer of `src`, by module names without extension. A module may import from its own layer and the ones above it in
 * the list; in a layer whose modules are `apart`, none imports another.
 */
interface Layer {
  readonly name: string
  readonly modules: ReadonlyArray<string | RegExp>
  readonly apart?: boolean
}

const layers: ReadonlyArray<Layer> = [
  { name: "words", modules: ["Outcome", "Failure", "Call", "Options", "internal/durationText", "internal/nearest"] },
  {
    name: "machines",
    modules: [
      "CircuitBreakerMachine",
      "TripPolicy",
      "Window",
      "TokenBucket",
      "BulkheadQueue",
      "RetryBudgetMachine",
      "LatencyHistogram",
      /^internal\/(callsInFlight|openPeriod|probeSlots|stateTime|ticket|tripCounters)$/
    ]
  },
  { name: "plumbing", modules: ["Step", "Alarm", "Deadline", "ResilienceEvent", /^internal\/(?!dependency|chaos)/] },
  { name: "parts", modules: ["Backoff", "RetryBudget", "Fault", /^internal\/chaos/] },
  {
    name: "policies",
    modules: ["Timeout", "Retry", "CircuitBreaker", "Bulkhead", "RateLimiter", "Chaos"],
    apart: true
  },
  { name: "outermost", modules: ["Fallback"] },
  {
    name: "assembly",
    modules: [
      "Keyed",
      "Explain",
      "Lint",
      "LatencyBudget",
      "Standard",
      "Policy",
      "LiveDependency",
      /^internal\/dependency/,
      "DependencyRegistry",
      "Dependency",
      "ChaosCheck",
      "ChaosExperiment",
      "ResilienceLog",
      "Figures",
      "Health",
      "Tuning",
      "Diagnosis"
    ]
  }
]

/** The most lines that a module may have. */
const maxLines = 400

/** The barrel: it imports everything, nothing imports it, and it is generated in length by what exists. */
const barrel = "index"

/** Module name (`Retry`, `internal/region`) to the names of the modules of this package that it imports. */
type Graph = ReadonlyMap<string, ReadonlyArray<string>>

/** The modules that the relative imports of a text lead to: values, types, re-exports, `import()` and import types. */
const importsOf = (module: string, text: string): ReadonlyArray<string> => {
  const found = new Set<string>()
  const visit = (node: ts.Node): void => {
    const specifier = ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
      ? node.moduleSpecifier
      : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
      ? node.arguments[0]
      : ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)
      ? node.argument.literal
      : undefined
    if (specifier !== undefined && ts.isStringLiteralLike(specifier) && specifier.text.startsWith(".")) {
      found.add(path.posix.join(path.posix.dirname(module), specifier.text).replace(/\.(js|ts)$/, ""))
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(`${module}.ts`, text, ts.ScriptTarget.ES2022))
  return [...found]
}

const layerOf = (module: string): number =>
  layers.findIndex((layer) =>
    layer.modules.some((entry) => typeof entry === "string" ? entry === module : entry.test(module))
  )

/** Modules that stand in no layer. */
const strangers = (graph: Graph): ReadonlyArray<string> =>
  [...graph.keys()].filter((module) => module !== barrel && layerOf(module) === -1).map((module) =>
    `${module} is in no layer: add it to the list of layers in test/Architecture.test.ts, where its imports allow it`
  )

/** Imports that run back to a later layer, to the barrel, or between modules that stand apart. */
const backwardArrows = (graph: Graph): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const [from, imports] of graph) {
    const own = layerOf(from)
    if (from === barrel || own === -1) continue
    for (const to of imports) {
      const other = layerOf(to)
      if (to === barrel) {
        found.push(`${from} imports the barrel: import the module itself`)
      } else if (other > own) {
        found.push(`${from} (${layers[own]?.name}) imports ${to} (${layers[other]?.name}), a later layer`)
      } else if (other === own && from !== to && layers[own]?.apart === true) {
        found.push(`${from} imports ${to}: ${layers[own].name} never import each other`)
      }
    }
  }
  return found
}

/** One shortest cycle for each module that lies on one, written from its first module in order of name. */
const cycles = (graph: Graph): ReadonlyArray<string> => {
  const found = new Set<string>()
  for (const start of graph.keys()) {
    const cameFrom = new Map<string, string>()
    const queue = [start]
    for (let module = queue.shift(); module !== undefined; module = queue.shift()) {
      for (const next of graph.get(module) ?? []) {
        if (cameFrom.has(next)) continue
        cameFrom.set(next, module)
        if (next !== start) queue.push(next)
      }
    }
    if (!cameFrom.has(start)) continue
    const ring: Array<string> = []
    for (let at = cameFrom.get(start); at !== undefined && at !== start; at = cameFrom.get(at)) ring.unshift(at)
    ring.unshift(start)
    const first = ring.indexOf([...ring].sort()[0] ?? start)
    const turned = [...ring.slice(first), ...ring.slice(0, first)]
    found.add([...turned, turned[0]].join(" > "))
  }
  return [...found]
}

/** Modules with more lines than a reader should be asked to hold. */
const tooLong = (texts: ReadonlyMap<string, string>): ReadonlyArray<string> =>
  [...texts].flatMap(([module, text]) => {
    const lines = text.replace(/\n$/, "").split("\n").length
    return module !== barrel && lines > maxLines
      ? [`${module} has ${lines} lines; the limit is ${maxLines}: take out the idea that does not belong to it`]
      : []
  })

const source = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../src")

const texts: ReadonlyMap<string, string> = new Map(
  fs.readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .sort()
    .map((file) => [
      file.split(path.sep).join("/").replace(/\.ts$/, ""),
      fs.readFileSync(path.join(source, file), "utf8")
    ])
)

const graph: Graph = new Map([...texts].map(([module, text]) => [module, importsOf(module, text)]))

describe("Architecture of packages/core/src", () => {
  it("is read from the sources", () => {
    assert.isTrue(graph.has(barrel))
  })

  it("every module stands in a layer", () => {
    assert.deepStrictEqual(strangers(graph), [])
  })

  it("imports run one way", () => {
    assert.deepStrictEqual(backwardArrows(graph), [])
  })

  it("has no cycle", () => {
    assert.deepStrictEqual(cycles(graph), [])
  })

  it("every import leads to a module that exists", () => {
    const missing = [...graph].flatMap(([from, imports]) =>
      imports.filter((to) => !graph.has(to)).map((to) => `${from} imports ${to}`)
    )
    assert.deepStrictEqual(missing, [])
  })

  it(`no module has more than ${maxLines} lines`, () => {
    assert.deepStrictEqual(tooLong(texts), [])
  })
})

describe("Architecture rules on made-up modules", () => {
  const made = (modules: Record<string, ReadonlyArray<string>>): Graph => new Map(Object.entries(modules))

  it("every way to name a module is an import", () => {
    const text = [
      `import * as A from "./A.js"`,
      `import type { B } from "./B.js"`,
      `import { type C } from "./C.js"`,
      `import "./D.js"`,
      `export * from "./E.js"`,
      `export * as F from "./F.js"`,
      `export type { G } from "./internal/G.js"`,
      `export type H = import("./H.js").H`,
      `export const load = () => import("./I.js")`,
      `import * as Effect from "effect/Effect"`
    ].join("\n")
    assert.sameMembers([...importsOf("Policy", text)], ["A", "B", "C", "D", "E", "F", "internal/G", "H", "I"])
  })

  it("imports of an internal module are read from where it stands", () => {
    const text = `import * as Outcome from "../Outcome.js"\nimport { x } from "./region.js"`
    assert.sameMembers([...importsOf("internal/heap", text)], ["Outcome", "internal/region"])
  })

  it("an import in a comment or a string is none", () => {
    const text = `/**\n * import { A } from "./A.js"\n */\nexport const x = "import './B.js'" // import "./C.js"`
    assert.deepStrictEqual([...importsOf("Policy", text)], [])
  })

  it("an arrow to a later layer is refused, whatever lies between", () => {
    assert.deepStrictEqual(backwardArrows(made({ Outcome: ["Policy"], Policy: [] })), [
      "Outcome (words) imports Policy (assembly), a later layer"
    ])
    assert.deepStrictEqual(backwardArrows(made({ "internal/region": ["Retry"], Retry: [] })), [
      "internal/region (plumbing) imports Retry (policies), a later layer"
    ])
    assert.lengthOf(backwardArrows(made({ Window: ["Alarm"], Backoff: ["Fallback"], Fallback: ["Health"] })), 3)
  })

  it("an arrow to an earlier layer or within one is allowed", () => {
    const allowed = made({ Policy: ["Retry", "Dependency", "Outcome"], Retry: ["Backoff", "Step"], Step: ["Alarm"] })
    assert.deepStrictEqual(backwardArrows(allowed), [])
  })

  it("policies never import each other", () => {
    assert.deepStrictEqual(backwardArrows(made({ Retry: ["CircuitBreaker"], CircuitBreaker: [] })), [
      "Retry imports CircuitBreaker: policies never import each other"
    ])
  })

  it("nothing imports the barrel, and the barrel may import everything", () => {
    assert.deepStrictEqual(backwardArrows(made({ Outcome: ["index"] })), [
      "Outcome imports the barrel: import the module itself"
    ])
    assert.deepStrictEqual(backwardArrows(made({ index: ["Policy", "Outcome"] })), [])
  })

  it("a cycle of any length is found once", () => {
    assert.deepStrictEqual(cycles(made({ A: ["A"] })), ["A > A"])
    assert.deepStrictEqual(cycles(made({ A: ["B"], B: ["A"] })), ["A > B > A"])
    assert.deepStrictEqual(cycles(made({ C: ["A"], A: ["B"], B: ["D"], D: ["C"] })), ["A > B > D > C > A"])
    const ring = Array.from({ length: 50 }, (_, index) => [`M${index}`, [`M${(index + 1) % 50}`]] as const)
    assert.lengthOf(cycles(new Map(ring)), 1)
  })

  it("two cycles are both found, and a diamond is none", () => {
    assert.sameMembers([...cycles(made({ A: ["B"], B: ["A"], C: ["D", "A"], D: ["C"] }))], ["A > B > A", "C > D > C"])
    assert.deepStrictEqual(cycles(made({ A: ["B", "C"], B: ["D"], C: ["D"], D: [] })), [])
  })

  it("a module in no layer is named, with where to put it", () => {
    const found = strangers(made({ Hedge: [], Retry: [], index: [], "internal/heap": [] }))
    assert.lengthOf(found, 1)
    assert.match(found[0] ?? "", /^Hedge is in no layer: add it to the list of layers in test\/Architecture\.test\.ts/)
  })

  it("a module may have 400 lines and not 401, the barrel as many as it needs", () => {
    const lines = (length: number) => "x\n".repeat(length)
    assert.deepStrictEqual(tooLong(new Map([["Retry", lines(400)], ["index", lines(900)]])), [])
    assert.match(tooLong(new Map([["Retry", lines(401)]]))[0] ?? "", /^Retry has 401 lines; the limit is 400/)
  })
})
