/**
 * An error's own field called `name` shadows `Error.prototype.name`, by which logs and stacks say what went wrong.
 */
import { propertyName } from "./references.mjs"

const constructors = new Set(["TaggedError", "Error"])
const failures = new Set(["Retryable", "Overloaded", "Permanent"])

/** Whether a superclass is `Data.TaggedError("Tag")`, `Schema.TaggedError...`, `Failure.Retryable("Tag")` and so on. */
const buildsError = (superclass) => {
  let callee = superclass
  while (callee.type === "CallExpression") callee = callee.callee
  if (callee.type === "Identifier") return callee.name === "TaggedError" || failures.has(callee.name)
  if (callee.type !== "MemberExpression" || callee.object.type !== "Identifier") return false
  if (callee.object.name === "Failure") return true
  const name = propertyName(callee.property, callee.computed)
  return (callee.object.name === "Data" || callee.object.name === "Schema") && constructors.has(name ?? "")
}

/** The members of the type literals that an argument is made of, through `&`, `|` and `Readonly<...>`. */
const members = (type) => {
  switch (type.type) {
    case "TSTypeLiteral":
      return type.members
    case "TSIntersectionType":
    case "TSUnionType":
      return type.types.flatMap(members)
    case "TSTypeReference":
      return (type.typeArguments?.params ?? []).flatMap(members)
    default:
      return []
  }
}

/** @type {import("eslint").Rule.RuleModule} */
export default {
  meta: {
    type: "problem",
    docs: { description: "Error classes have no field called `name`" },
    schema: [],
    messages: {
      name:
        "A field called `name` shadows `Error.prototype.name`, so logs print its value where the error's tag should " +
        "stand. Say whose name it is: `policy`, `dependency`, `operation`."
    }
  },
  create: (context) => {
    const check = (node) => {
      if (node.superClass === null || node.superClass === undefined || !buildsError(node.superClass)) return
      const types = node.superTypeArguments?.params ?? []
      const callTypes = node.superClass.type === "CallExpression" ? node.superClass.typeArguments?.params ?? [] : []
      for (const member of [...types, ...callTypes].flatMap(members)) {
        if (
          (member.type === "TSPropertySignature" || member.type === "TSMethodSignature") &&
          propertyName(member.key, member.computed) === "name"
        ) {
          context.report({ node: member, messageId: "name" })
        }
      }
    }
    return { ClassDeclaration: check, ClassExpression: check }
  }
}
