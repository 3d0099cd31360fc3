/** The exports of this package that are policies, or make one: asked of the compiler, so that no list can miss one. */
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const packageRoot = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..")

const isInternal = (symbol: ts.Symbol): boolean => symbol.getJsDocTags().some(({ name }) => name === "internal")

/** `Bulkhead.make`, `Policy.identity`, ... in the order of the modules of the barrel. */
export const policyExports = (): ReadonlyArray<string> => {
  const { config } = ts.readConfigFile(path.join(packageRoot, "../../tsconfig.base.json"), ts.sys.readFile)
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, packageRoot)
  const barrel = path.join(packageRoot, "src/index.ts")
  const program = ts.createProgram([barrel], { ...options, noEmit: true, composite: false, incremental: false })
  const checker = program.getTypeChecker()
  const file = program.getSourceFile(barrel)!
  const target = (symbol: ts.Symbol): ts.Symbol =>
    (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)
  const isPolicy = (type: ts.Type): boolean =>
    ["steps", "with", "run"].every((name) => checker.getPropertyOfType(type, name) !== undefined)
  const succeedsWithPolicy = (type: ts.Type): boolean =>
    type.symbol?.name === "Effect" && checker.getTypeArguments(type as ts.TypeReference).slice(0, 1).some(isPolicy)
  const found: Array<string> = []
  for (const module of checker.getExportsOfModule(checker.getSymbolAtLocation(file)!)) {
    for (const member of checker.getExportsOfModule(target(module))) {
      const value = target(member)
      if ((value.flags & ts.SymbolFlags.Value) === 0 || isInternal(value)) continue
      const type = checker.getTypeOfSymbolAtLocation(value, file)
      const made = type.getCallSignatures().map((signature) => signature.getReturnType())
      if (isPolicy(type) || succeedsWithPolicy(type) || made.some((one) => isPolicy(one) || succeedsWithPolicy(one))) {
        found.push(`${module.name}.${member.name}`)
      }
    }
  }
  return found
}
