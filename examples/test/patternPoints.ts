/**
 * What each page about one pattern is about, as a check on what it prints.
 */
import { assert } from "@effect/vitest"
import { figures } from "./pages.js"

export const points: Readonly<Record<string, (text: string) => void>> = {
  timeout: (text) => {
    const lines = text.split("\n")
    const givenBack = lines.findIndex((line) => line.includes("1.30 s  connection given back"))
    assert.match(lines[givenBack + 1]!, /timed out after 1000 ms .* \[attempt\]/, "released first, then told")
    assert.match(text, /3\.80 s {2}The call to prices timed out after 2500 ms in all \(attempt 3 of 6\) \[total\]/)
  },
  retry: (text) => {
    const [passing, outage, permanent, charge] = text.split("-- ").slice(1)
    assert.match(passing!, /request 3\n.*answered/)
    assert.match(outage!, /request 4\n.*failed: Busy/)
    assert.match(permanent!, /request 1\n.*failed: UnknownCustomer/)
    assert.match(charge!, /request 1\n.*failed: Busy/)
    const waits = Array.from(
      text.matchAll(/in (\d+) ms of (\d+)/g),
      ([, drawn, largest]) => [Number(drawn), Number(largest)]
    )
    assert.deepStrictEqual(waits.map(([, largest]) => largest), [200, 400, 200, 400, 800])
    assert.isTrue(waits.every(([drawn, largest]) => drawn! <= largest!))
    assert.strictEqual(new Set(waits.map(([drawn]) => drawn)).size, waits.length, "no two waits are the same")
  },
  circuitBreaker: (text) => {
    const states = Array.from(text.matchAll(/OPEN for|HALF-OPEN|CLOSED/g), ([state]) => state)
    assert.deepStrictEqual(states, ["OPEN for", "HALF-OPEN", "OPEN for", "HALF-OPEN", "CLOSED"])
    const [requests, failed, atOnce, charged] = figures(text, "90.00 s  90 customers")
    assert.deepStrictEqual([requests, failed! + atOnce! + charged!], [29, 90])
  },
  bulkhead: (text) => {
    assert.strictEqual(text.match(/refused\. /g)?.length, 2)
    assert.match(text, /0\.02 s {2}catalog 1 answered\n.*0\.02 s {2}catalog 2 answered/)
    assert.match(text, /2 refused, 0 places taken at the end/)
  },
  rateLimiter: (text) => {
    assert.strictEqual(text.match(/refused\. /g)?.length, 3)
    assert.match(text, /call 5 refused.*try again in 500ms\n.*0\.50 s {2}the same call, half a second later, passed/)
    assert.match(text, /1\.00 s {2}call 5 passed\n.*1\.50 s {2}call 6 passed/)
  },
  fallback: (text) => {
    const sources = Array.from(text.matchAll(/alice: .* \((.*)\)/g), ([, source]) => source)
    assert.deepStrictEqual(sources, ["primary", "These may be a little old", "Showing what is popular"])
  },
  deadline: (text) => {
    assert.match(text, /2\.00 s {2}The call to shipping was ended by the deadline of its caller/)
    assert.match(text, /5\.00 s {2}mail sent/)
    assert.match(text, /no retry: deadline/)
  },
  retryBudget: (text) => {
    const requests = Array.from(text.matchAll(/100 calls, (\d+) requests/g), ([, many]) => Number(many))
    assert.deepStrictEqual(requests, [110, 110, 400, 130, 103])
  }
}
