/** Suites that need a program which npm does not bring. */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"

export const isThere = (binary: string): boolean => {
  try {
    Fs.accessSync(binary, Fs.constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** One test after the other. Where the program is missing, the title says so, for the reporter, and the suite is skipped; under `HOLDFAST_REQUIRE_PEERS=1` that is a failure. */
export const describeWith = (binary: string, title: string, body: () => void): void => {
  if (isThere(binary)) {
    describe.sequential(title, { timeout: 120_000 }, body)
  } else if ((process.env.HOLDFAST_REQUIRE_PEERS ?? "") !== "") {
    it(`${title}: needs ${binary}`, () =>
      assert.fail(`${binary} is not installed, and HOLDFAST_REQUIRE_PEERS forbids to skip`))
  } else {
    describe.skip(`${title} (${binary} is not installed)`, body)
  }
}
