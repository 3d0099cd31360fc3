/**
 * The day everything fell down: the same Tuesday twice, first without protection and then with Holdfast.
 *
 * Read `demo/orderService.ts` first: it is the example. The rest makes the weather and measures.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "node:fs/promises"
import { diagnosisText } from "./demo/diagnosis.js"
import { toJson } from "./demo/figures.js"
import { parseOptions, usage } from "./demo/options.js"
import { showProgress } from "./demo/progress.js"
import { judge } from "./demo/promises.js"
import { makePaint, summaryText, timelineText } from "./demo/report.js"
import { runDay } from "./demo/run.js"
import { tuesday } from "./demo/scenario.js"
import { fold } from "./drawing.js"

class CannotWrite extends Data.TaggedError("CannotWrite")<{ readonly path: string; readonly because: string }> {}

const output = process.stdout
const paint = makePaint(output.isTTY === true && (process.env.NO_COLOR ?? "") === "")
const print = (text: string) => Effect.sync(() => output.write(`${text}\n`))

const cannotWrite = (path: string) => (error: unknown) =>
  new CannotWrite({ path, because: error instanceof Error ? error.message : String(error) })

const write = (path: string, content: string) =>
  Effect.tryPromise({ try: () => FileSystem.writeFile(path, content), catch: cannotWrite(path) })

/** Opens the file and leaves what is in it. */
const checkWritable = (path: string) =>
  Effect.tryPromise({
    try: () => FileSystem.open(path, "a").then((file) => file.close()),
    catch: cannotWrite(path)
  })

/** Ends with the exit code. */
const demo = Effect.gen(function*() {
  const options = yield* parseOptions(process.argv.slice(2))
  if (options.help) {
    yield* print(usage)
    return 0
  }
  if (options.json !== undefined) {
    // Now, not after a minute: a path that cannot be written is bad usage.
    yield* checkWritable(options.json)
  }
  const { load, payment, scale, service } = tuesday
  yield* print([
    paint.bold("The day everything fell down"),
    fold(
      `1 s here is ${scale} s of that Tuesday: latencies, timeouts and open durations are all scaled alike. ` +
        "Latencies below are those of the demo."
    ),
    fold(
      `${service.workers} workers serve every route; ${load.ordersPerSecond} orders and ${load.catalogPerSecond} catalog pages ` +
        `come in each second of the demo. Payment answers in ${payment.healthyLatency} s of that Tuesday, then in ` +
        `${payment.slowLatency} s; it is never dead.`
    ),
    ""
  ].join("\n"))
  const watch = showProgress(output, paint)
  const unprotected = yield* runDay(tuesday, "unprotected", watch)
  const guarded = yield* runDay(tuesday, "protected", watch)
  const verdicts = judge(tuesday, guarded)
  yield* print(`\n${timelineText(tuesday, unprotected, guarded, paint)}\n`)
  yield* print(summaryText(tuesday, unprotected, guarded, verdicts, paint))
  yield* print(`\n${diagnosisText(unprotected, guarded, paint)}`)
  if (options.json !== undefined) {
    yield* write(options.json, `${JSON.stringify(toJson(tuesday, [unprotected, guarded], verdicts), undefined, 2)}\n`)
    yield* print(`\nThe figures are in ${options.json}`)
  }
  return verdicts.every(({ kept }) => kept) ? 0 : 1
}).pipe(
  Effect.catchTags({
    BadUsage: ({ message }) => Effect.sync(() => process.stderr.write(`${message}\n\n${usage}\n`)).pipe(Effect.as(2)),
    CannotWrite: ({ because, path }) =>
      Effect.sync(() => process.stderr.write(`Cannot write the figures to ${path}: ${because}\n`)).pipe(Effect.as(2))
  })
)

const fiber = Effect.runFork(demo)

const interrupted = () => {
  process.exitCode = 130
  // Closing sockets takes a moment; whoever pressed Ctrl-C shall not wait for it.
  setTimeout(() => process.exit(130), 800).unref()
  Effect.runFork(Fiber.interrupt(fiber))
}
process.once("SIGINT", interrupted)
process.once("SIGTERM", interrupted)

fiber.addObserver((exit) => {
  if (Exit.isSuccess(exit)) {
    process.exitCode = exit.value
  } else if (process.exitCode !== 130) {
    process.exitCode = 1
    process.stderr.write(`${exit.cause}\n`)
  }
})
