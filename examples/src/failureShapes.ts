/**
 * Every way in which a dependency fails, against `Policy.standard` with its defaults: first in virtual time, then, with `--sockets`,
 * on real ones, all at once, for two minutes. `--markdown` prints the tables of the documentation.
 *
 *     node --import tsx examples/src/failureShapes.ts [--sockets] [--markdown]
 */
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Effect from "effect/Effect"
import { names, story } from "./shapes/dependency.js"
import { format, markdown, observe } from "./shapes/observe.js"
import { socketCall } from "./shapes/sockets.js"
import { virtualCall } from "./shapes/virtual.js"

const inVirtualTime = Effect.forEach(
  names,
  (shape) => VirtualClock.run(Effect.flatMap(virtualCall(shape, story), (call) => observe(shape, story, call)))
)

const onSockets = Effect.forEach(
  names,
  (shape) => Effect.scoped(Effect.flatMap(socketCall(shape, story), (call) => observe(shape, story, call))),
  { concurrency: "unbounded" }
)

const written = process.argv.includes("--markdown") ? markdown : format

const program = Effect.gen(function*() {
  console.log(`10 calls a second, sick from second 5 to second 65, in virtual time\n\n${written(yield* inVirtualTime)}`)
  if (process.argv.includes("--sockets")) {
    console.log(`\nthe same on sockets, in real time\n\n${written(yield* onSockets)}`)
  }
})

Effect.runPromise(program)
