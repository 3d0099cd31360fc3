import { assert, describe, it } from "@effect/vitest"
import { BulkheadQueue, type Waiter } from "@holdfast/core/BulkheadQueue"
import * as fc from "fast-check"

interface Named extends Waiter {
  readonly name: string
}

const waiter = (name: string): Named => ({ name, previous: undefined, next: undefined, queued: false })

const counters = (queue: BulkheadQueue<Named>) => ({
  active: queue.active,
  queued: queue.queued,
  rejected: queue.rejected,
  violations: queue.violations
})

describe("BulkheadQueue laws", () => {
  it("agrees with a plain list of names in every random history, and every edge is taken", () => {
    const edges: Record<string, number> = {}
    const took = (edge: string): void => {
      edges[edge] = (edges[edge] ?? 0) + 1
    }
    const command = fc.record({
      kind: fc.integer({ min: 0, max: 19 }),
      pick: fc.nat(1_000),
      concurrent: fc.integer({ min: 1, max: 5 }),
      places: fc.integer({ min: 0, max: 4 })
    })
    fc.assert(
      fc.property(fc.array(command, { minLength: 20, maxLength: 120 }), (commands) => {
        const queue = new BulkheadQueue<Named>(2, 3)
        const model = { max: 2, places: 3, active: 0, rejected: 0, violations: 0, line: [] as Array<Named> }
        const handedOver: Array<Named> = []
        let next = 0
        for (const { concurrent, kind, pick, places } of commands) {
          if (kind < 9) {
            const free = model.active < model.max && model.line.length === 0
            assert.strictEqual(queue.full, !free && model.line.length >= model.places)
            assert.strictEqual(queue.tryAcquire(), free)
            if (free) {
              took("acquired")
              model.active += 1
            } else {
              const one = waiter(String(next++))
              const room = model.line.length < model.places
              assert.strictEqual(queue.enqueue(one), room)
              assert.strictEqual(one.queued, room)
              took(room ? "queued" : "rejected")
              if (room) model.line.push(one)
              else model.rejected += 1
            }
          } else if (kind < 13) {
            const released = queue.release()
            if (model.active === 0) {
              took("released without a permit")
              model.violations += 1
              assert.isUndefined(released)
            } else if (model.active <= model.max && model.line.length > 0) {
              took("granted by a release")
              assert.strictEqual(released, model.line.shift())
              handedOver.push(released!)
            } else {
              took(model.active > model.max ? "released above the limit" : "released")
              model.active -= 1
              assert.isUndefined(released)
            }
          } else if (kind < 16 && model.line.length > 0) {
            took("removed while queued")
            const [one] = model.line.splice(pick % model.line.length, 1)
            assert.isTrue(queue.remove(one!))
          } else if (kind === 16 && handedOver.length > 0) {
            took("removed after it was granted")
            assert.isFalse(queue.remove(handedOver[pick % handedOver.length]!))
          } else if (kind === 17 && model.line.length > 0) {
            took("queued twice")
            model.violations += 1
            assert.isFalse(queue.enqueue(model.line[pick % model.line.length]!))
          } else if (kind > 17) {
            took(concurrent > model.max ? "grown" : concurrent < model.max ? "shrunk" : "same size")
            if (concurrent < model.active) took("shrunk below those that run")
            if (places < model.line.length) took("line made shorter than those who wait")
            model.max = concurrent
            model.places = places
            const expected: Array<string> = []
            while (model.active < model.max && model.line.length > 0) {
              took("granted by growing")
              const one = model.line.shift()!
              handedOver.push(one)
              expected.push(one.name)
              model.active += 1
            }
            const granted: Array<string> = []
            queue.resize(concurrent, places, (each) => granted.push(each.name))
            assert.deepStrictEqual(granted, expected)
          }
          assert.deepStrictEqual(counters(queue), {
            active: model.active,
            queued: model.line.length,
            rejected: model.rejected,
            violations: model.violations
          })
          assert.isTrue(
            model.line.length === 0 || queue.active >= queue.maxConcurrent,
            "a permit is free, yet one waits"
          )
        }
        // the rest comes out in order
        const rest = model.line.map((each) => each.name)
        const granted: Array<string> = []
        queue.resize(Infinity, 0, (each) => granted.push(each.name))
        assert.deepStrictEqual(granted, rest)
      }),
      { seed: 20_240_611, numRuns: 400 }
    )
    for (
      const edge of [
        "acquired",
        "queued",
        "rejected",
        "released",
        "released without a permit",
        "released above the limit",
        "granted by a release",
        "removed while queued",
        "removed after it was granted",
        "queued twice",
        "grown",
        "shrunk",
        "same size",
        "shrunk below those that run",
        "line made shorter than those who wait",
        "granted by growing"
      ]
    ) {
      assert.isAtLeast(edges[edge] ?? 0, 100, edge)
    }
  })
})
