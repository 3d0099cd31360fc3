import { assert, describe, it } from "@effect/vitest"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { virtually } from "../src/retry-storm/run.js"
import { peak } from "../src/retry-storm/story.js"
import { figures, printed, promised, words } from "./pages.js"

const page = "src/retryStorm.ts"

describe("the retry storm", () => {
  it("is drawn in virtual time to the letter, and told the same way on sockets", async () => {
    const [text, onSockets] = (await printed(page, "--sockets")).split("\nThe same on sockets")
    assert.strictEqual(text!.trimEnd(), promised(page))
    assert.deepStrictEqual(figures(text!, "no jitter  "), [1000, 5500, 64, 1000, 0])

    // the words of the drawing are those of the promise; what the seconds and the peaks are depends on the machine
    const drawing = onSockets!.slice(onSockets!.indexOf("Retries"))
    const withoutAxis = (text: string) => words(text.replace(/^ +0 s +10 s.*$/gm, ""))
    assert.strictEqual(withoutAxis(drawing), withoutAxis(promised(page)))
    const [, requests, over, answered, gaveUp] = figures(drawing, "no jitter  ")
    const [, jitterRequests, jitterOver, jitterAnswered] = figures(drawing, "full jitter  ")
    const [, budgetRequests, budgetOver, budgetAnswered, budgetGaveUp] = figures(drawing, "full jitter, retry budget  ")
    assert.deepStrictEqual([answered, gaveUp, jitterAnswered], [100, 0, 100])
    assert.isAbove(over!, jitterOver!, "without jitter it takes longer")
    assert.isAbove(jitterOver!, budgetOver!)
    assert.isAbove(requests!, budgetRequests!)
    assert.isAbove(jitterRequests!, budgetRequests!)
    assert.isAtMost(budgetRequests!, 100 * 0.2 + 10, "a fifth of the calls, and one per second for ten seconds")
    assert.strictEqual(budgetAnswered! + budgetGaveUp!, 100)
  }, 120_000)

  it("has a lower peak and is over sooner with jitter, whatever the draws", () =>
    Effect.gen(function*() {
      const story = { clients: 1000, capacityPerSecond: 100, scale: 1 }
      const waves = yield* VirtualClock.run(virtually("no jitter", story))
      for (const seed of ["a", "b"]) {
        const stream = yield* VirtualClock.run(virtually("full jitter", story)).pipe(
          Effect.withRandom(Random.make(seed))
        )
        assert.strictEqual(stream.answered, 1000)
        assert.isBelow(peak(stream, 0.1), peak(waves, 0.1) / 5)
        assert.isBelow(stream.overAfter, waves.overAfter / 3)
        // 1,000 requests cannot be answered faster than 100 a second
        assert.isAbove(stream.overAfter, 10)
      }
    }).pipe(Effect.runPromise))
})
