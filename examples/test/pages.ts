/**
 * Runs the pages of `examples/` as a reader does, and reads in their last comment what they promise to print.
 */
import * as ChildProcess from "node:child_process"
import * as FileSystem from "node:fs"
import * as Path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"

const root = Path.resolve(Path.dirname(fileURLToPath(import.meta.url)), "../..")

export const source = (page: string): string => FileSystem.readFileSync(Path.join(root, "examples", page), "utf8")

const node = async (args: ReadonlyArray<string>): Promise<string> => {
  const { stdout } = await promisify(ChildProcess.execFile)(process.execPath, ["--import", "tsx", ...args], {
    cwd: root,
    timeout: 220_000
  })
  return stdout
}

/** What a page prints when it is run by the command in its opening comment. Fails if it does not end well, or not at all. */
export const printed = (page: string, ...args: ReadonlyArray<string>): Promise<string> =>
  node([Path.join("examples", page), ...args])

/** What several pages print that are run one after the other, in one process: most of a short page's time is the start of its process. */
export const printedInTurn = async (pages: ReadonlyArray<string>): Promise<ReadonlyMap<string, string>> => {
  const urls = pages.map((page) => pathToFileURL(Path.join(root, "examples", page)).href)
  const inTurn = `for (const url of ${JSON.stringify(urls)}) { await import(url); console.log("\\f") }`
  const outputs = (await node(["--input-type=module", "--eval", inTurn])).split("\f\n")
  return new Map(pages.map((page, index) => [page, outputs[index] ?? ""]))
}

/** What the last comment of a page says that it prints. */
export const promised = (page: string): string => {
  const found = /\/\* Prints[^\n]*\n\n(.*?)\n\*\/\n$/s.exec(source(page))
  if (found === null) {
    throw new Error(`${page} does not end with a comment of what it prints`)
  }
  return found[1]!
}

/** What is left of a text without its figures and drawings: the words, in their order. */
export const words = (text: string): string =>
  text.replace(/[▁-▏█░]|-{3,}/g, "").replace(/-?\$?\d[\d.,]*/g, "#").replace(/\s+/g, " ").trim()

/** The figures of the line that begins with so many words, without their units. */
export const figures = (text: string, beginsWith: string): ReadonlyArray<number> => {
  const line = text.split("\n").find((one) => one.trimStart().startsWith(beginsWith))
  if (line === undefined) {
    throw new Error(`no line begins with ${JSON.stringify(beginsWith)}:\n${text}`)
  }
  return Array.from(
    line.slice(line.indexOf(beginsWith) + beginsWith.length).matchAll(/\d[\d,]*(?:\.\d+)?/g),
    ([figure]) => Number(figure.replaceAll(",", ""))
  )
}
