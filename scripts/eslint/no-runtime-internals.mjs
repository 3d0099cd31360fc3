/**
 * The private fields of Effect's fibers are read in one place, where their absence is noticed and answered.
 */
import { propertyName } from "./references.mjs"

const isPrivate = (name) =>
  name !== undefined && (/^_(children|steps|stack|queue)$/.test(name) || /^effect_instruction_i\d*$/.test(name))

/** @type {import("eslint").Rule.RuleModule} */
export default {
  meta: {
    type: "problem",
    docs: { description: "Only the internal directory of core reads the private fields of Effect's runtime" },
    schema: [],
    messages: {
      internals: "`{{name}}` is a private field of Effect's runtime and may change in any release. Ask the module in " +
        "packages/core/src/internal that reads it, and takes the safe way when it is not what is expected."
    }
  },
  create: (context) => {
    const check = (node, name) => {
      if (isPrivate(name)) context.report({ node, messageId: "internals", data: { name } })
    }
    return {
      MemberExpression: (node) => {
        // A class may call a field of its own what it likes.
        if (node.object.type !== "ThisExpression") check(node, propertyName(node.property, node.computed))
      },
      "ObjectPattern > Property": (node) => check(node, propertyName(node.key, node.computed)),
      TSPropertySignature: (node) => check(node, propertyName(node.key, node.computed)),
      "BinaryExpression[operator='in']": (node) => check(node, propertyName(node.left, true)),
      TSIndexedAccessType: (node) => {
        if (node.indexType.type === "TSLiteralType") check(node, propertyName(node.indexType.literal, true))
      }
    }
  }
}
