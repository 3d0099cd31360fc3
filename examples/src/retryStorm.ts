/**
 * The retry storm: 1,000 clients lose their connections at the same moment, and a server that can do 100 requests a second has
 * to take them all back. Without jitter they return in step, wave after wave; with it they come as a stream; and a retry budget
 * lets no storm arise.
 *
 * A budget does not save the calls that it does not let try again: they fail at once, with the error that they have, and a fallback
 * answers them while the server has time to recover.
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

/* Prints; what stands below the line about sockets, for example:

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

The same on sockets: 100 clients, 20 requests a second, four times as fast

Retries that arrive at the server within 250 ms; it can do 5

no jitter
     56 | █
        | █ █   █
        | █ █   █       ▁
        | █ █   █       █
        | █ █   █       █
        | █ █   █       █       ▇
        +------------------------------
         0 s       10 s      20 s      30 s

full jitter
     56 |
        |▁
        |█
        |█
        |█▅
        |███▃▃▃▁▂▁▁
        +------------------------------
         0 s       10 s      20 s      30 s

full jitter, retry budget
     56 |
        |
        |
        |
        |
        |█
        +------------------------------
         0 s       10 s      20 s      30 s

                            peak   requests   over after   answered   gave up
no jitter                     56        262       23.8 s        100         0
full jitter                   39        202        9.5 s        100         0
full jitter, retry budget      9         30        1.6 s         30        70
*/
