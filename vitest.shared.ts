import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { ViteUserConfig } from "vitest/config"

const root = path.dirname(fileURLToPath(import.meta.url))

const config: ViteUserConfig = {
  esbuild: { target: "es2022" },
  test: {
    setupFiles: [path.join(root, "vitest.setup.ts")],
    sequence: { concurrent: true },
    // Nothing here sleeps for long; the limit is for machines that are busy with other things.
    testTimeout: 30_000,
    include: ["test/**/*.test.ts"]
  }
}

export default config
