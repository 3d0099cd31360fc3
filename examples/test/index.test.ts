import { assert, describe, it } from "@effect/vitest"
import * as FileSystem from "node:fs"
import { source } from "./pages.js"

const files = FileSystem.readdirSync(new URL("../src", import.meta.url), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => `src/${file}`)

/** A page says in its opening comment how it is run. */
const pages = files.filter((file) => /^\/\*\*[^/]*node --import tsx examples\//s.test(source(file)))

const tests = FileSystem.readdirSync(new URL(".", import.meta.url))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => `${file}\n${source(`test/${file}`)}`)
  .join("\n")

describe("the index of the examples", () => {
  const index = source("README.md")

  it("leads to files that exist, by commands that name them", () => {
    const rows = Array.from(
      index.matchAll(/\]\((src\/[^)]+)\).*`([^`]+)` \|$/gm),
      ([, file, command]) => [file!, command!]
    )
    assert.isAbove(rows.length, 10)
    for (const [file, command] of rows) {
      assert.include(files, file)
      assert.isTrue(command === "npm run demo" || command!.startsWith(`node --import tsx examples/${file}`), command)
    }
  })

  for (const page of pages) {
    it(`knows ${page}, and a test runs it`, () => {
      assert.include(index, `](${page})`)
      assert.include(tests, page.replace(/^src\/(?:.*\/)?/, "").replace(/\.ts$/, ""))
    })
  }
})
