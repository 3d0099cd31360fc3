/**
 * The command line of the demo.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { parseArgs } from "node:util"

export interface Options {
  /** Where to write the figures. */
  readonly json: string | undefined
  readonly help: boolean
}

/** The command line makes no sense; the message says why and what would. */
export class BadUsage extends Data.TaggedError("BadUsage")<{ readonly message: string }> {}

export const usage = `Usage: npm run demo -- [--json FILE]

  --json FILE   write the figures of both runs to FILE
  --help        show this text

Exit codes: 0 all promises kept, 1 a promise broken or an error, 2 bad usage, 130 ended by Ctrl-C.`

export const parseOptions = (args: ReadonlyArray<string>): Effect.Effect<Options, BadUsage> =>
  Effect.try({
    try: () => {
      const { values } = parseArgs({
        args: [...args],
        options: { json: { type: "string" }, help: { type: "boolean", short: "h" } },
        strict: true,
        allowPositionals: false
      })
      return { json: values.json, help: values.help === true }
    },
    catch: (error) => new BadUsage({ message: error instanceof Error ? error.message : String(error) })
  }).pipe(
    Effect.filterOrFail(
      ({ json }) => json !== "",
      () => new BadUsage({ message: "Option '--json <value>' needs the path of a file" })
    )
  )
