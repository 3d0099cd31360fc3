/** The one list of vitest projects; `vitest.config.ts` hands it to `test.projects`. */
const projects: Array<string> = ["packages/*/vitest.config.ts", "examples/vitest.config.ts", "scripts/vitest.config.ts"]

export default projects
