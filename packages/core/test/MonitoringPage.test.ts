import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const here = path.dirname(fileURLToPath(import.meta.url))

/** The texts that the modules do write, in tests of their own. */
const written = new Set(
  ["log-lines", "health", "diagnosis", "tuning"].flatMap((name) =>
    fs.readFileSync(path.join(here, "golden", `${name}.txt`), "utf8").split("\n")
  )
)

describe("docs/monitoring.md", () => {
  it("shows lines that the modules write, word for word", () => {
    const page = fs.readFileSync(path.join(here, "../docs/monitoring.md"), "utf8")
    const shown = [...page.matchAll(/^```text\n([\s\S]*?)^```$/gm)].flatMap(([, text]) => text!.trimEnd().split("\n"))
    assert.isAbove(shown.length, 15)
    assert.deepStrictEqual(shown.filter((line) => !written.has(line)), [])
  })
})
