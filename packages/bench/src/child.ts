/**
 * One process that measures one group once, and answers over its channel.
 */
import type { Settings } from "./Group.js"
import { groups } from "./groups.js"

process.once("message", async ({ name, settings }: { readonly name: string; readonly settings: Settings }) => {
  const group = groups.find((one) => one.name === name)!
  const result = await group.run(settings)
  process.send!(result, () => process.exit(0))
})
