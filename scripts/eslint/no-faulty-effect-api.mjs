/**
 * Parts of Effect 3 that were measured to lose permits, hang or mislead, and what the toolkit stands on instead.
 */
import { importedName, importOf, propertyName } from "./references.mjs"

const semaphore = "it wakes every waiter on each release (2,000 callers on 10 permits took 43 s against 0.4 s for a " +
  "hand-off queue), and `withPermits` loses a permit when it is interrupted at the wrong operation"

/** Functions of the module `Effect`, by pattern. */
const effectFunctions = [
  { pattern: /^(unsafeMake|make)Semaphore$/, because: semaphore, instead: "BulkheadQueue, which hands permits over" },
  {
    pattern: /^timeout/,
    because:
      "it forks and races two fibers on every call, which costs more than all the rest of a policy, and it hides " +
      "who rang",
    instead: "Timeout, or the region's alarm"
  },
  {
    pattern: /^cached/,
    because: "when the caller that computes is interrupted every waiter is, and `cached` stays interrupted for ever",
    instead: "a Deferred that a fiber of its own completes"
  },
  {
    pattern: /^race/,
    because: "it hangs for good when its fiber is interrupted at one of its operations (2 of 63 tries)",
    instead: "a fork, `Fiber.await` and an interruption, or the region's alarm"
  }
]

/** Modules that nothing here may stand on. */
const modules = new Map([
  ["PartitionedSemaphore", {
    because: "it leaks permits when a release and an interruption fall in the same tick (68 of 200 tries)",
    instead: "BulkheadQueue, one for each partition"
  }],
  ["RateLimiter", {
    because:
      "it admits 854 of 1,000 a second, needs a fiber and a Scope, cannot reject, and hangs when a cost is above " +
      "the limit",
    instead: "TokenBucket, or our own RateLimiter"
  }]
])

/** @type {import("eslint").Rule.RuleModule} */
export default {
  meta: {
    type: "problem",
    docs: { description: "Sources do not stand on parts of Effect 3 with measured faults" },
    schema: [],
    messages: {
      faulty: "{{name}} is not safe to build on: on Effect 3, {{because}}. Use {{instead}}."
    }
  },
  create: (context) => {
    const report = (node, name, fault) =>
      context.report({ node, messageId: "faulty", data: { name, because: fault.because, instead: fault.instead } })
    const functionNamed = (name) => effectFunctions.find((entry) => entry.pattern.test(name))

    const checkModule = (node) => {
      const source = node.source?.value
      if (typeof source !== "string") return
      const [root, name] = source.split("/")
      if (root === "effect" && modules.has(name)) report(node, source, modules.get(name))
      if (source !== "effect" && source !== "effect/Effect") return
      for (const specifier of node.specifiers ?? []) {
        if (specifier.type !== "ImportSpecifier" && specifier.type !== "ExportSpecifier") continue
        const imported = specifier.type === "ImportSpecifier" ? importedName(specifier) : specifier.local.name
        if (source === "effect" && modules.has(imported)) report(specifier, `effect/${imported}`, modules.get(imported))
        const fault = source === "effect/Effect" ? functionNamed(imported) : undefined
        if (fault !== undefined) report(specifier, `Effect.${imported}`, fault)
      }
    }

    const isEffectModule = (expression) => {
      if (expression.type !== "Identifier") return false
      const found = importOf(context.sourceCode, expression)
      return found !== undefined && (
        (found.source === "effect/Effect" && found.imported === "*") ||
        (found.source === "effect" && found.imported === "Effect")
      )
    }

    return {
      ImportDeclaration: checkModule,
      ExportNamedDeclaration: checkModule,
      ExportAllDeclaration: checkModule,
      MemberExpression: (node) => {
        const name = propertyName(node.property, node.computed)
        const fault = name === undefined ? undefined : functionNamed(name)
        if (fault !== undefined && isEffectModule(node.object)) report(node, `Effect.${name}`, fault)
      },
      VariableDeclarator: (node) => {
        if (node.id.type !== "ObjectPattern" || node.init === null || !isEffectModule(node.init)) return
        for (const property of node.id.properties) {
          const name = property.type === "Property" ? propertyName(property.key, property.computed) : undefined
          const fault = name === undefined ? undefined : functionNamed(name)
          if (fault !== undefined) report(property, `Effect.${name}`, fault)
        }
      }
    }
  }
}
