import { assert, it } from "vitest"
import { describeWith } from "./peer.js"
import { figure, printedBy, row } from "./printed.js"

describeWith("/usr/bin/redis-server", "one Redis, three pools", () => {
  it(
    "analytics cannot hurt sessions, a blip is answered by what is remembered, and only who gave up is reconnected",
    async () => {
      const printed = await printedBy(() => import("../src/redisPools.js"))
      const [blocked, blip, long] = printed.split("\n\n")

      assert.deepStrictEqual(row(blocked!, "one pool").slice(1), ["50", "0 of 30"])
      assert.deepStrictEqual(row(blocked!, "three pools").slice(1), ["5", "30 of 30"])

      for (const [name, size] of [["sessions", 30], ["cache", 15], ["analytics", 5]] as const) {
        const [, redis, fallback, failed, openAfter, closedAfter, byClients, byUs] = row(blip!, name).map(figure)
        assert.isAbove(redis!, 0, `${name} are served by Redis again`)
        assert.isAbove(fallback!, 0, `${name} were answered meanwhile`)
        assert.strictEqual(failed, 0, `${name}: nobody saw an error`)
        assert.isAtLeast(openAfter!, 0, `the circuit of ${name} opened`)
        assert.isAtLeast(closedAfter!, 0, `and closed when Redis was back`)
        assert.strictEqual(byClients, size, `${name}: the clients reconnected by themselves`)
        assert.strictEqual(byUs, 0, `${name}: without our interference`)

        const [, again, meanwhile, failedToo, , , byThemselves, forThem] = row(long!, name).map(figure)
        assert.isAbove(again!, 0)
        assert.isAbove(meanwhile!, 0)
        assert.strictEqual(failedToo, 0)
        assert.isAtLeast(forThem!, 1, `${name}: whoever gave up is connected by us`)
        assert.isAtMost(byThemselves! + forThem!, size, `${name}: and no connection twice`)
      }
    },
    60_000
  )
})
