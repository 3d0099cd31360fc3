/**
 * Which test files use sockets, processes or real time: those that a busy machine could fail. The set is read from the sources, so that no
 * list and no name can be forgotten. `npm run test:busy` runs it.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import ts from "typescript"

/** Modules whose use is not decided by a test's own clock. */
const outside =
  /^(node:(net|http|https|http2|tls|dgram|child_process|worker_threads|timers(\/promises)?)|undici|@effect\/platform-node.*)$/

/** Reads or waits for real time, whatever the clock of the test is. */
const timers = new Set(["setTimeout", "setInterval", "performance.now", "Date.now", "process.hrtime", "Clock.make"])

/** Runs an effect by the live clock, unless the effect is run by a virtual one inside. */
const liveRuns =
  /^(it\.(live|scopedLive)(\.(only|skip|each|fails|skipIf|runIf))?|TestServices\.provideLive|(Effect|Runtime)\.run(Promise|PromiseExit|Fork|Callback))$/

/** What runs an effect by a clock of its own. A sweep does so unless it is told `clock: "live"`. */
const virtualClocks = ["VirtualClock", "TestClock", "OperationSweep"]

/** What a file says of itself, before its imports are looked at. */
export interface Source {
  /** Relative imports, and the names that each brings. */
  readonly imports: ReadonlyArray<{ readonly from: string; readonly names: ReadonlyArray<string> }>
  /** What stands in the file that is bound to sockets, processes or timers: the first of each kind. */
  readonly real: ReadonlyArray<string>
  /** The names that each of its top-level declarations mentions. */
  readonly mentions: ReadonlyMap<string, ReadonlySet<string>>
  /** For each effect that is run by the live clock: the names that it mentions, with those of the declarations around it. */
  readonly live: ReadonlyArray<{ readonly as: string; readonly names: ReadonlySet<string> }>
}

/** Reads the text of a file. */
export const read = (name: string, text: string): Source => {
  const file = ts.createSourceFile(name, text, ts.ScriptTarget.ES2022, true)
  const imports: Array<{ from: string; names: ReadonlyArray<string> }> = []
  const real = new Set<string>()
  const mentions = new Map<string, ReadonlySet<string>>()
  const live: Array<{ as: string; names: ReadonlySet<string> }> = []

  const namesIn = (node: ts.Node): Set<string> => {
    const names = new Set<string>()
    const collect = (one: ts.Node): void => {
      if (ts.isIdentifier(one)) names.add(one.text)
      ts.forEachChild(one, collect)
    }
    collect(node)
    return names
  }

  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const from = node.moduleSpecifier.text
      const clause = node.importClause
      if (clause?.isTypeOnly === true) return
      if (outside.test(from)) real.add(from)
      if (from.startsWith(".")) imports.push({ from, names: clause === undefined ? [] : [...namesIn(clause)] })
      return
    }
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const from = node.arguments[0]
      if (from !== undefined && ts.isStringLiteralLike(from)) {
        if (outside.test(from.text)) real.add(from.text)
        if (from.text.startsWith(".")) imports.push({ from: from.text, names: [] })
      }
    }
    if (ts.isPropertyAccessExpression(node) || ts.isIdentifier(node)) {
      const text = node.getText(file)
      if (timers.has(text)) real.add(text)
      if (liveRuns.test(text)) live.push({ as: text, names: around(node) })
    }
    if (ts.isPropertyAssignment(node) && /^clock: "live"$/.test(node.getText(file))) {
      real.add("a sweep by the live clock")
    }
    ts.forEachChild(node, visit)
  }

  // A call and the arrow functions and declarations that hold it; not `describe`, which holds other tests too.
  const around = (node: ts.Node): Set<string> => {
    let at = node
    while (
      at.parent !== undefined && !ts.isSourceFile(at.parent) &&
      !(ts.isCallExpression(at.parent) && /^describe\b/.test(at.parent.expression.getText(file)))
    ) {
      at = at.parent
      if (ts.isCallExpression(at) && at.expression === node) break
      if (ts.isExpressionStatement(at)) break
    }
    return namesIn(at)
  }

  for (const statement of file.statements) {
    if (ts.isVariableStatement(statement)) {
      for (const one of statement.declarationList.declarations) mentions.set(one.name.getText(file), namesIn(one))
    } else if (ts.isFunctionDeclaration(statement) && statement.name !== undefined) {
      mentions.set(statement.name.text, namesIn(statement))
    }
  }
  visit(file)
  return { imports, real: [...real], mentions, live }
}

/** The names of a file that lead to a virtual clock: by themselves, or by another declaration or an import that does. */
const virtualNames = (source: Source, imported: ReadonlySet<string>): ReadonlySet<string> => {
  const found = new Set([...virtualClocks, ...imported])
  for (let grown = true; grown;) {
    grown = false
    for (const [name, mentioned] of source.mentions) {
      if (!found.has(name) && [...mentioned].some((one) => found.has(one))) {
        found.add(name)
        grown = true
      }
    }
  }
  return found
}

/** Why a file is in the set: every reason, with the file in which it stands; none for a file that decides its own time. */
export const reasons = (file: string, sourceOf: (file: string) => Source | undefined): ReadonlyArray<string> => {
  const seen = new Map<string, ReadonlySet<string>>()
  const found: Array<string> = []
  const walk = (at: string): ReadonlySet<string> => {
    const known = seen.get(at)
    if (known !== undefined) return known
    seen.set(at, new Set())
    const source = sourceOf(at)
    if (source === undefined) return new Set()
    const imported = new Set<string>()
    for (const one of source.imports) {
      const virtual = walk(path.normalize(path.join(path.dirname(at), one.from)).replace(/\.js$/, ".ts"))
      for (const name of one.names) if (virtual.has(name)) imported.add(name)
    }
    const virtual = virtualNames(source, imported)
    for (const what of source.real) found.push(`${at}: ${what}`)
    const run = source.live.find(({ names }) => ![...names].some((name) => virtual.has(name)))
    if (run !== undefined) found.push(`${at}: ${run.as} by the live clock`)
    seen.set(at, virtual)
    return virtual
  }
  walk(file)
  return found
}

/** The test files of the repository, as paths from its root. */
export const testFiles = (root: string): ReadonlyArray<string> => {
  const folders = [
    "examples",
    "scripts",
    ...fs.readdirSync(path.join(root, "packages")).map((one) => `packages/${one}`)
  ]
  return folders
    .map((folder) => `${folder}/test`)
    .filter((folder) => fs.existsSync(path.join(root, folder)))
    .flatMap((folder) =>
      fs.readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".test.ts"))
        .map((name) => path.join(folder, name))
    )
    .sort()
}

/** The test files that use sockets, processes or real time, each with its reasons. What the packages themselves use does not count. */
export const realTimeTests = (root: string): ReadonlyMap<string, ReadonlyArray<string>> => {
  const sources = new Map<string, Source | undefined>()
  const sourceOf = (file: string): Source | undefined => {
    if (!sources.has(file)) {
      const full = path.join(root, file)
      const own = !/^packages\/[^/]+\/src\//.test(file)
      sources.set(file, own && fs.existsSync(full) ? read(file, fs.readFileSync(full, "utf8")) : undefined)
    }
    return sources.get(file)
  }
  return new Map(
    testFiles(root)
      .map((file) => [file, reasons(file, sourceOf)] as const)
      .filter(([, why]) => why.length > 0)
  )
}
