/**
 * Checks every page (`*.md`): each ```ts block compiles, and each relative link leads to something.
 *
 * What a block takes for granted stands in a comment right above it, which a reader of the page does not see:
 *
 *     <!-- given
 *     declare const charge: (order: Order) => Effect.Effect<Receipt>
 *     -->
 *
 * A block that uses `yield*` at its top level is read as the inside of an `Effect.gen`.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..")
const block = /(?:<!-- given\n(?<given>[\s\S]*?)-->\n+)?^```ts\n(?<code>[\s\S]*?)^```$/gm

const importsFirst = (code) => {
  const file = ts.createSourceFile("snippet.ts", code, ts.ScriptTarget.ES2022)
  const imports = file.statements.filter(ts.isImportDeclaration).map((one) => one.getFullText(file))
  const rest = file.statements.filter((one) => !ts.isImportDeclaration(one)).map((one) => one.getFullText(file))
  return { imports, rest: rest.join("") }
}

/** The snippets of a page, each as a module with the line of the page on which its code begins. */
const snippetsOf = (page) => {
  const text = fs.readFileSync(path.join(root, page), "utf8")
  return [...text.matchAll(block)].map((match) => {
    const { code, given = "" } = match.groups
    const line = text.slice(0, match.index + match[0].indexOf("```ts\n") + 6).split("\n").length
    if (!/^(?!\s|\/\/).*\byield\*/m.test(code)) {
      return { page, line, before: given.split("\n").length, text: `${given}\n${code}\nexport {}\n` }
    }
    const { imports, rest } = importsFirst(code)
    const head = `${given}\n${imports.join("")}\nimport { Effect as Program } from "effect"\n` +
      "export const inside = Program.gen(function*() {\n"
    return {
      page,
      line,
      before: head.split("\n").length - 1 - imports.join("").split("\n").length,
      text: `${head}${rest}})\n`
    }
  })
}

const pages = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"], {
  cwd: root,
  encoding: "utf8"
}).split("\n").filter((page) => page !== "" && fs.existsSync(path.join(root, page)))

let wrong = 0
const tell = (text) => {
  console.error(text)
  wrong++
}

for (const page of pages) {
  const text = fs.readFileSync(path.join(root, page), "utf8")
  for (const [, link] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
    if (!fs.existsSync(path.resolve(root, path.dirname(page), link))) {
      tell(`${page}: the link ${link} leads nowhere`)
    }
  }
}

// They stand, in memory only, where the packages of this repository and their peers can be imported from.
const snippets = new Map(
  pages.flatMap(snippetsOf).map((one, index) => [path.join(root, "examples", `snippet-${index}.ts`), one])
)

const packages = fs.readdirSync(path.join(root, "packages"))
const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile(path.join(root, "tsconfig.base.json"), ts.sys.readFile).config,
  ts.sys,
  root
)
Object.assign(options, {
  noEmit: true,
  composite: false,
  incremental: false,
  noUnusedLocals: false,
  types: ["node"],
  typeRoots: [path.join(root, "node_modules/@types")],
  paths: Object.fromEntries(packages.flatMap((name) => [
    [`@holdfast/${name}`, [path.join(root, `packages/${name}/src/index.ts`)]],
    [`@holdfast/${name}/*`, [path.join(root, `packages/${name}/src/*.ts`)]]
  ]))
})

const host = ts.createCompilerHost(options)
const { fileExists, getSourceFile, readFile } = host
host.fileExists = (file) => snippets.has(file) || fileExists.call(host, file)
host.readFile = (file) => snippets.get(file)?.text ?? readFile.call(host, file)
host.getSourceFile = (file, target, ...rest) =>
  snippets.has(file)
    ? ts.createSourceFile(file, snippets.get(file).text, target, true)
    : getSourceFile.call(host, file, target, ...rest)

const program = ts.createProgram([...snippets.keys()], options, host)
for (const [file, { before, line, page }] of snippets) {
  const source = program.getSourceFile(file)
  for (const found of [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]) {
    const at = source.getLineAndCharacterOfPosition(found.start ?? 0).line
    tell(`${page}:${line + at - before}: ${ts.flattenDiagnosticMessageText(found.messageText, "\n")}`)
  }
}

if (snippets.size === 0) {
  console.error("No page has a ```ts block: the pattern that finds them must be wrong.")
  process.exitCode = 1
} else if (wrong > 0) {
  process.exitCode = 1
} else {
  console.log(`${snippets.size} snippets of ${pages.length} pages compile, and every link leads somewhere`)
}
