/**
 * The tests that mutants of the machines must face. It stands alone, because Stryker runs it in a copy of the package
 * where nothing above the package is at hand, and one test at a time, because a mutant is told by the running test.
 */
import { defineConfig } from "vitest/config"

export default defineConfig({
  esbuild: { target: "es2022" },
  test: {
    name: "@holdfast/core mutation",
    sequence: { concurrent: false },
    setupFiles: ["./vitest.mutation.setup.ts"],
    testTimeout: 60_000,
    // What counts to millions costs each mutant seconds and kills none that the others leave.
    testNamePattern: /^(?!.*(ten million|a million distinct|100,000 keys|many calls)).*$/,
    include: ["test/**/{*Machine,Window,TripPolicy,*TokenBucket,BulkheadQueue,LatencyHistogram,BlastRadius}*.test.ts"]
  }
})
