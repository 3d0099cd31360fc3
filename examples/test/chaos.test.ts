import { assert, describe, it } from "@effect/vitest"
import { figures, printedInTurn, promised } from "./pages.js"

/** What each level is about, as a check on what it prints. */
const points: Readonly<Record<string, (text: string) => void>> = {
  level1: (text) => {
    assert.match(text, /5\. Verdict: HELD\./)
    assert.match(text, /yes {2}every page shows what is popular: 30 of 30/)
    assert.match(text, /yes {2}the circuit opened: yes/)
    assert.isAbove(figures(text, "3. Injected: failure in every attempt at recommendations. It hit")[0]!, 10)
  },
  level2: (text) => {
    const verdicts = Array.from(text.matchAll(/Verdict: (\w+)\./g), ([, verdict]) => verdict)
    assert.deepStrictEqual(verdicts, ["ABORTED", "HELD"])
    assert.match(text, /taken out early: more than 3 customers have seen an error \(4 of 4\)/)
    assert.match(text, /\d+ orders were accepted without payment; each is paid now, once/)
  },
  level3: (text) => {
    assert.match(text, /5\. Verdict: HELD\./)
    assert.match(text, /yes {2}every order is placed within 5 seconds: the slowest took [34]s/)
    assert.match(text, /inventory: 40 of 40 attempts disturbed \(40 x latency\)/)
    assert.match(text, /drawn by request id: seed 7 gives the same again in any order/)
    assert.match(text, /Played again with the same seed: the same verdict, to the millisecond/)
  }
}

describe("the levels of chaos", () => {
  const names = Object.keys(points)
  const pageOf = (name: string) => `src/chaos/${name}.ts`
  const outputs = printedInTurn(names.map(pageOf))
  // Whoever awaits it hears of a failure; until then it is nobody's.
  outputs.catch(() => {})

  for (const name of names) {
    it(`${name} prints what it promises, to the letter, and that is what its experiment shows`, async () => {
      const text = (await outputs).get(pageOf(name))!
      assert.strictEqual(text.trimEnd(), promised(pageOf(name)))
      // A sentence may go on in the next line.
      points[name]!(text.replace(/\n {5}(?=\S)/g, " "))
    }, 60_000)
  }
})
