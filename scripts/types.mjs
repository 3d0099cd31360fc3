/**
 * Runs the type tests (`dtslint/*.tst.ts`) of every package that has some: TSTyche takes one package at a time, and
 * refuses one that has none yet.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const packages = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../packages")
const tstyche = path.join(path.dirname(createRequire(import.meta.url).resolve("tstyche/package.json")), "dist/bin.js")

const hasTypeTests = (directory) =>
  fs.existsSync(path.join(directory, "tstyche.json")) && fs.existsSync(path.join(directory, "dtslint")) &&
  fs.readdirSync(path.join(directory, "dtslint"), { recursive: true }).some((file) => file.endsWith(".tst.ts"))

const tested = fs.readdirSync(packages).map((name) => path.join(packages, name)).filter(hasTypeTests)

if (tested.length === 0) console.log("No package has type tests yet.")

for (const directory of tested) {
  const { status } = spawnSync(process.execPath, [tstyche, "--root", directory], { stdio: "inherit" })
  if (status !== 0) process.exitCode = 1
}
