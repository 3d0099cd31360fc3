/**
 * A machine is plain synchronous state: it imports no package and touches no clock, timer, random source or process.
 */
import { forEachGlobal, isGlobalNamed, onModuleName, propertyName } from "./references.mjs"

const impure = new Set([
  "Date",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "requestAnimationFrame",
  "performance",
  "process",
  "crypto"
])

/** @type {import("eslint").Rule.RuleModule} */
export default {
  meta: {
    type: "problem",
    docs: { description: "Machines import no package and use no clock, timer, random source or process" },
    schema: [],
    messages: {
      packageImport:
        "A machine must run without a runtime, so that its laws can be tested by plain calls and it can move to " +
        "another edition unchanged: it does not import \"{{source}}\". Take what is needed as an argument, and let the " +
        "module that drives the machine speak to Effect.",
      impure:
        "A machine must give the same answer to the same inputs, else its histories cannot be replayed: it does " +
        "not use {{name}}. Take `now`, the random draw or the wake-up as an argument."
    }
  },
  create: (context) => ({
    ...onModuleName((node, source) => {
      if (!source.startsWith(".")) {
        context.report({ loc: node.loc, messageId: "packageImport", data: { source } })
      }
    }),
    MemberExpression: (node) => {
      if (
        propertyName(node.property, node.computed) === "random" &&
        isGlobalNamed(context.sourceCode, node.object, "Math")
      ) {
        context.report({ node, messageId: "impure", data: { name: "Math.random" } })
      }
    },
    "Program:exit": () => {
      forEachGlobal(context.sourceCode, impure, (node, name) => {
        context.report({ node, messageId: "impure", data: { name } })
      })
    }
  })
}
