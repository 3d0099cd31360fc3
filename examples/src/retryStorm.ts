/**
 * The retry storm: 1,000 clients lose their connections at the same moment, and a server that can do 100 requests a second has to take them
 * all back. Without jitter they return in step, wave after wave; with it they come as a stream; and a retry budget lets no storm arise.
 *
 * In virtual time, at full size; with `--sockets` also on a real HTTP server, with 100 clients and four times as fast.
 *
 *     node --import tsx examples/src/retryStorm.ts [--sockets]
 */
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { draw } from "./retry-storm/chart.js"
import { onSockets, virtually } from "./retry-storm/run.js"
import { names } from "./retry-storm/story.js"

const full = { clients: 1000, capacityPerSecond: 100, scale: 1 }

console.log(draw(
  await Effect.runPromise(
    Effect.forEach(
      names,
      (name) => VirtualClock.run(virtually(name, full)).pipe(Effect.withRandom(Random.make("storm")))
    )
  ),
  full,
  0.1
))

if (process.argv.includes("--sockets")) {
  const small = { clients: 100, capacityPerSecond: 20, scale: 1 / 4 }
  console.log("\nThe same on sockets: 100 clients, 20 requests a second, four times as fast\n")
  console.log(draw(await Effect.runPromise(Effect.forEach(names, (name) => onSockets(name, small))), small, 0.25))
}

/* Prints:

Retries that arrive at the server within 100 ms; it can do 10

no jitter
  1,000 | █ ▃
        | █ █   ▆       ▂
        | █ █   █       █       ▅
        | █ █   █       █       █       █       ▃
        | █ █   █       █       █       █       █       ▆       ▂
        | █ █   █       █       █       █       █       █       █       ▅
        +----------------------------------------------------------------------
         0 s       10 s      20 s      30 s      40 s      50 s      60 s      70 s

full jitter
  1,000 |
        |
        |
        |
        |
        |▇▃▃▂▁▁▁▁▁▁▁▁▁▁
        +----------------------------------------------------------------------
         0 s       10 s      20 s      30 s      40 s      50 s      60 s      70 s

full jitter, retry budget
  1,000 |
        |
        |
        |
        |
        |▁▁
        +----------------------------------------------------------------------
         0 s       10 s      20 s      30 s      40 s      50 s      60 s      70 s

                             peak   requests   over after   answered   gave up
no jitter                   1,000      5,500       64.0 s      1,000         0
full jitter                   140      2,952       13.4 s      1,000         0
full jitter, retry budget      24        210        2.0 s        199       801
*/
