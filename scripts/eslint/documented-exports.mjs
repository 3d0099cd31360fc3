/**
 * Every module and every export says since when it exists, every export its category, and every value shows its use.
 *
 * docgen can ask for `@since` too, but then asks it of private methods as well; and it says so only after a minute.
 *
 * Types need no example: they are read, not called. Nor does a symbol, which is there for guards and for type inference.
 */

const tag = (comment, name) => new RegExp(`^\\s*\\*?\\s*@${name}\\b`, "m").test(comment)

/** The names that an export declaration brings out. */
const namesOf = (declaration) =>
  declaration.type === "VariableDeclaration"
    ? declaration.declarations.map((declarator) => declarator.id.name).filter((name) => name !== undefined)
    : declaration.id?.name === undefined
    ? []
    : [declaration.id.name]

/**
 * Packages where so far only `make` is asked for an example: in `bench` docgen compiles none, and an example that
 * nobody compiles goes stale; `http` has values from before the rule asked. A package is taken out when its values have theirs.
 */
const onlyMakeIn = /(^|[\\/])packages[\\/](http|bench)[\\/]/

/** Whether a variable is a symbol, by its annotation, which is `unique symbol` at every `TypeId`. */
const isSymbol = (declarator) => {
  const type = declarator.id.typeAnnotation?.typeAnnotation
  return type?.type === "TSSymbolKeyword" ||
    (type?.type === "TSTypeOperator" && type.operator === "unique" && type.typeAnnotation?.type === "TSSymbolKeyword")
}

/** The names that an export declaration brings out as values which have a use to show. */
const valuesOf = (declaration) =>
  declaration.declare === true || declaration.type === "TSInterfaceDeclaration" ||
    declaration.type === "TSTypeAliasDeclaration" || declaration.type === "TSModuleDeclaration"
    ? []
    : declaration.type === "VariableDeclaration"
    ? namesOf({ ...declaration, declarations: declaration.declarations.filter((each) => !isSymbol(each)) })
    : namesOf(declaration)

/** @type {import("eslint").Rule.RuleModule} */
export default {
  meta: {
    type: "problem",
    docs: { description: "Modules and exports are documented with `@since`, `@category`, and `@example` on values" },
    schema: [],
    messages: {
      module: "The generated pages and the reader both begin at the module's own sentence: open the file with a doc " +
        "comment that says what the module is for, and `@since`.",
      missing:
        "`{{name}}` is public, and readers find it by its tags: its doc comment lacks {{tags}}. Add them, or mark " +
        "it `@internal` if nobody outside may use it.",
      example:
        "`{{name}}` is a value that users write: its doc comment needs an `@example`, a few lines as a newcomer would " +
        "use it, which `npm run docs` compiles and runs; or mark it `@internal`.",
      assertImport:
        "docgen puts its own `import * as assert from 'assert'` before an example that writes `assert.`, so " +
        "this import does not compile there. Import the functions by name, as in `import { strictEqual } from " +
        "\"node:assert\"`."
    }
  },
  create: (context) => {
    const { sourceCode } = context

    const docBefore = (node) => {
      const comment = sourceCode.getCommentsBefore(node).at(-1)
      return comment?.type === "Block" && comment.value.startsWith("*") ? comment.value : ""
    }

    const missingTags = (comment) => ["since", "category"].filter((name) => !tag(comment, name))

    const onlyMake = onlyMakeIn.test(context.filename)

    const check = (node, name, comment, isValue) => {
      if (tag(comment, "internal")) return
      const missing = missingTags(comment)
      if (missing.length > 0) {
        const tags = missing.map((each) => `\`@${each}\``).join(" and ")
        context.report({ node, messageId: "missing", data: { name, tags } })
      }
      if (isValue && (name === "make" || !onlyMake) && name !== "TypeId" && !tag(comment, "example")) {
        context.report({ node, messageId: "example", data: { name } })
      }
    }

    return {
      Program: (program) => {
        const first = sourceCode.getAllComments()[0]
        const opens = first !== undefined && first.type === "Block" && first.value.startsWith("*") &&
          sourceCode.getTokenBefore(first) === null
        if (!opens || !tag(first.value, "since")) context.report({ node: program, messageId: "module" })

        for (const comment of sourceCode.getAllComments()) {
          if (!/import\s+(?:\*\s+as\s+)?assert\s+from/.test(comment.value) || !comment.value.includes("assert.")) {
            continue
          }
          context.report({ loc: comment.loc, messageId: "assertImport" })
        }

        // The overloads of a function share the documentation of the one that has it, or of the last.
        const functions = new Map()
        for (const node of program.body) {
          if (node.type !== "ExportNamedDeclaration") continue
          const { declaration } = node
          if (declaration === null || declaration === undefined) {
            for (const specifier of node.specifiers) {
              const own = docBefore(specifier)
              const name = specifier.exported.name ?? specifier.exported.value
              const isValue = node.exportKind !== "type" && specifier.exportKind !== "type"
              check(specifier, name, own === "" ? docBefore(node) : own, isValue)
            }
          } else if (declaration.type === "FunctionDeclaration" || declaration.type === "TSDeclareFunction") {
            const name = declaration.id.name
            const seen = functions.get(name)
            if (seen === undefined || missingTags(seen.comment).length > 0) {
              functions.set(name, { node, comment: docBefore(node) })
            }
          } else {
            const values = valuesOf(declaration)
            for (const name of namesOf(declaration)) check(node, name, docBefore(node), values.includes(name))
          }
        }
        for (const [name, { comment, node }] of functions) check(node, name, comment, true)
      }
    }
  }
}
