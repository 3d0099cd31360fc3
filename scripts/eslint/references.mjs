/**
 * What the own rules ask of a file's scopes: where a name was imported from, and which names are the platform's.
 */

/**
 * The import that a name is bound to: the module, and the imported name (`*` for a namespace), or `undefined`.
 *
 * @param {import("eslint").SourceCode} sourceCode
 * @param {import("estree").Identifier} identifier
 * @returns {{ readonly source: string, readonly imported: string } | undefined}
 */
export const importOf = (sourceCode, identifier) => {
  for (let scope = sourceCode.getScope(identifier); scope !== null; scope = scope.upper) {
    const variable = scope.set.get(identifier.name)
    if (variable === undefined || variable.defs.length === 0) continue
    const definition = variable.defs[0]
    if (definition.type !== "ImportBinding") return undefined
    return { source: definition.parent.source.value, imported: importedName(definition.node) }
  }
  return undefined
}

/** The name that an import specifier takes from its module. */
export const importedName = (specifier) => {
  if (specifier.type === "ImportNamespaceSpecifier") return "*"
  if (specifier.type === "ImportDefaultSpecifier") return "default"
  return specifier.imported.type === "Identifier" ? specifier.imported.name : specifier.imported.value
}

/** The name of a property where it is written down: `a.b`, `a["b"]`, `{ b: 1 }`; `undefined` where it is computed. */
export const propertyName = (key, computed) => {
  if (key.type === "Literal" && typeof key.value === "string") return key.value
  if (computed) return undefined
  return key.type === "Identifier" ? key.name : undefined
}

const globalObjects = new Set(["globalThis", "window", "self", "global"])

const isGlobal = (sourceCode, identifier) => {
  for (let scope = sourceCode.getScope(identifier); scope !== null; scope = scope.upper) {
    const variable = scope.set.get(identifier.name)
    if (variable !== undefined) return variable.defs.length === 0
  }
  return true
}

/**
 * Whether an expression is the platform's own `name`: bare and not shadowed, or read from the global object.
 *
 * @param {import("eslint").SourceCode} sourceCode
 */
export const isGlobalNamed = (sourceCode, expression, name) => {
  if (expression.type === "Identifier") return expression.name === name && isGlobal(sourceCode, expression)
  return expression.type === "MemberExpression" &&
    expression.object.type === "Identifier" &&
    globalObjects.has(expression.object.name) &&
    propertyName(expression.property, expression.computed) === name &&
    isGlobal(sourceCode, expression.object)
}

/**
 * Visits every use of the platform's `names` as a value, once each: types and shadowed names are left out.
 *
 * @param {import("eslint").SourceCode} sourceCode
 * @param {ReadonlySet<string>} names
 * @param {(node: import("estree").Node, name: string) => void} visit
 */
export const forEachGlobal = (sourceCode, names, visit) => {
  const scopes = sourceCode.scopeManager.scopes
  for (const scope of scopes) {
    for (const reference of scope.references) {
      const { identifier, resolved } = reference
      if (resolved !== null && resolved.defs.length > 0) continue
      if (reference.isValueReference === false) continue
      if (names.has(identifier.name)) visit(identifier, identifier.name)
      const member = identifier.parent
      if (!globalObjects.has(identifier.name) || member.type !== "MemberExpression" || member.object !== identifier) {
        continue
      }
      const name = propertyName(member.property, member.computed)
      if (name !== undefined && names.has(name)) visit(member, name)
    }
  }
}

/**
 * Calls `visit(node, source)` for everything that names another module: imports, re-exports, `import()`, import types.
 *
 * @param {(node: import("estree").Node, source: string) => void} visit
 */
export const onModuleName = (visit) => {
  const named = (node) => {
    const literal = node.source?.type === "TSLiteralType" ? node.source.literal : node.source
    if (literal?.type === "Literal" && typeof literal.value === "string") visit(node, literal.value)
  }
  return {
    ImportDeclaration: named,
    ExportNamedDeclaration: named,
    ExportAllDeclaration: named,
    ImportExpression: named,
    TSImportType: (node) => named({ ...node, source: node.source ?? node.argument, loc: node.loc })
  }
}
