/** Texts that must not change without somebody reading the change. */
import { assert } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const golden = path.join(path.dirname(fileURLToPath(import.meta.url)), "../golden")

/** Compares a text with its file. To write the files anew: `GOLDEN=write` in the environment. */
export const assertGolden = (name: string, text: string): void => {
  const file = path.join(golden, `${name}.txt`)
  if (process.env.GOLDEN === "write") {
    fs.mkdirSync(golden, { recursive: true })
    fs.writeFileSync(file, text)
  }
  assert.strictEqual(text, fs.readFileSync(file, "utf8"))
}

/** Parts of one text, each under its title. */
export const chapters = (parts: ReadonlyArray<readonly [title: string, text: string]>): string =>
  parts.map(([title, text]) => `${title}\n${"=".repeat(title.length)}\n\n${text}`).join("\n")
