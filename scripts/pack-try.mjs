/**
 * Tries the packages as a new user would: packs each public package, installs the tarballs with npm in a folder outside the
 * repository, type-checks and runs what the READMEs say, and imports every public module. Fails loudly.
 *
 *     npm run pack:try              # in a folder that is removed afterwards
 *     npm run pack:try -- --keep    # and keeps the folder, to look around in it
 *     npm run pack:try -- --locked  # with the versions of the lock file instead of the newest ones
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..")
const readJson = (...parts) => JSON.parse(fs.readFileSync(path.join(...parts), "utf8"))

/** What the READMEs tell a user to install, and what it takes to compile. */
const beside = ["effect@3", "@effect/platform@0.97", "@effect/platform-node@0.108", "typescript@5.9", "@types/node@20"]
  .map((wanted) => {
    const name = wanted.slice(0, wanted.lastIndexOf("@"))
    return process.argv.includes("--locked")
      ? `${name}@${readJson(root, "node_modules", name, "package.json").version}`
      : wanted
  })

// What npm puts into the environment of a script is about this repository, not about the user's folder.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle|config_local_prefix)|^INIT_CWD$/.test(name))
)

const run = (directory, command, ...parameters) => {
  try {
    return execFileSync(command, parameters, { cwd: directory, env: environment, encoding: "utf8", stdio: "pipe" })
  } catch (error) {
    throw new Error(`${command} ${parameters.join(" ")}\n${error.stdout}${error.stderr}`)
  }
}

const expect = (what, holds, found) => {
  if (!holds) throw new Error(`${what}\n${typeof found === "string" ? found : JSON.stringify(found, undefined, 2)}`)
}

const began = performance.now()
const told = (text) => console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`)

// -- build and pack ------------------------------------------------------------

const packages = fs.readdirSync(path.join(root, "packages"))
  .map((name) => path.join(root, "packages", name))
  .filter((directory) => fs.existsSync(path.join(directory, "package.json")))
  .map((directory) => ({ directory, manifest: readJson(directory, "package.json") }))
  .filter(({ manifest }) => manifest.private !== true)

const build = () => {
  // What an earlier build left must not be in the tarballs.
  for (const { directory } of packages) {
    fs.rmSync(path.join(directory, "dist"), { recursive: true, force: true })
    fs.rmSync(path.join(directory, ".tsbuildinfo/build.tsbuildinfo"), { force: true })
  }
  run(root, "npm", "run", "--silent", "build")
  for (const { directory, manifest } of packages) {
    expect(
      `${manifest.name} is public and not in tsconfig.build.json`,
      fs.existsSync(path.join(directory, "dist/index.js")),
      manifest.name
    )
  }
}

const pack = (tarballs) => {
  const [pnpm] = readJson(root, "package.json").packageManager.split("+")
  const filters = packages.flatMap(({ manifest }) => ["--filter", manifest.name])
  run(root, "npx", "--yes", pnpm, "--recursive", ...filters, "pack", "--pack-destination", tarballs)
}

const install = (directory, tarballs) => {
  run(directory, "npm", "init", "--yes")
  run(directory, "npm", "pkg", "set", "type=module")
  const files = fs.readdirSync(tarballs).map((file) => path.join(tarballs, file))
  run(directory, "npm", "install", "--no-audit", "--no-fund", "--prefer-offline", ...files, ...beside)
}

// -- what is in the tarballs -----------------------------------------------------

/** The public modules of an installed package, by what a user writes to import them. */
const modulesOf = (directory, name) =>
  fs.readdirSync(path.join(directory, "node_modules", name, "dist"))
    .filter((file) => file.endsWith(".js"))
    .map((file) => file === "index.js" ? name : `${name}/${file.slice(0, -3)}`)

const inspect = (directory, { manifest: { name } }) => {
  const installed = path.join(directory, "node_modules", name)
  const manifest = readJson(installed, "package.json")
  const ranges = Object.values({ ...manifest.dependencies, ...manifest.peerDependencies })
  expect(
    `${name} has a range that npm cannot read`,
    ranges.every((range) => !/^(workspace|catalog):/.test(range)),
    ranges
  )
  expect(`${name} shows its sources to node`, !JSON.stringify(manifest.exports).includes("src/"), manifest.exports)
  const files = fs.readdirSync(installed, { recursive: true, encoding: "utf8" })
    .filter((file) => !file.startsWith("node_modules"))
  for (const file of ["README.md", "LICENSE", "dist/index.js", "dist/index.d.ts", "src/index.ts"]) {
    expect(`${name} lacks ${file}`, files.includes(file), files)
  }
  const strange = files.filter((file) => /(^|\/)(test|dtslint|build|\.tsbuildinfo)(\/|$)|tsbuildinfo/.test(file))
  expect(`${name} has files that are nobody's business`, strange.length === 0, strange)
  return modulesOf(directory, name)
}

/** Imports and requires every module, and asks for one that is not public. */
const loader = (modules, names) => `
import { createRequire } from "node:module"
const require = createRequire(import.meta.url)
for (const name of ${JSON.stringify(modules)}) {
  const imported = await import(name)
  const required = require(name)
  if (Object.keys(imported).join() !== Object.keys(required).join()) throw new Error(name + " differs when it is required")
}
for (const name of ${JSON.stringify(names)}) {
  const code = await import(name + "/internal/anything").then(() => "none", (error) => error.code)
  if (code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw new Error(name + "/internal is open: " + code)
}
`

// -- what the READMEs say ----------------------------------------------------------

const blocks = (page) => Array.from(page.matchAll(/^```ts\n([\s\S]*?)^```$/gm), ([, code]) => code)

/** Those that are whole: they import what they use, and what they take for granted stands nowhere else. */
const wholeBlocks = (page) =>
  blocks(page.replace(/<!-- given[\s\S]*?-->\s*```ts[\s\S]*?^```$/gm, ""))
    .filter((code) => code.startsWith("import") && !/^(?!\s|\/\/).*\byield\*/m.test(code))

const chapter = (page, title) => {
  const [, rest] = page.split(`\n## ${title}\n`)
  expect(`the README has no chapter "${title}"`, rest !== undefined, page)
  return blocks(rest.split("\n## ")[0])[0]
}

/** The ten lines of the README, with what they take for granted: an order, a charge that may be declined, a queue. */
const tenLines = (page) => `
import * as Failure from "@holdfast/core/Failure"
import type { Duration } from "effect"

interface Order { readonly id: string }
interface Receipt { readonly order: string; readonly paid: boolean }
class CardDeclined extends Failure.Permanent("CardDeclined")<{ readonly reason: string }> {}

const order: Order = { id: "o-1" }
const charge = (order: Order): Effect.Effect<Receipt, CardDeclined> => Effect.succeed({ order: order.id, paid: true })
const queueForLater = (order: Order, _after: Duration.Duration | undefined): Effect.Effect<Receipt> =>
  Effect.succeed({ order: order.id, paid: false })

${chapter(page, "Ten lines")}
console.log(JSON.stringify(await Effect.runPromise(program)))
`

/** The protected client of the README of http, called on a server that is busy twice. */
const client = (page) => `
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

${chapter(page, "A client under a policy")}
let requests = 0
const server = Http.createServer((_request, response) => {
  if (++requests < 3) response.writeHead(503, { "retry-after": "0" }).end("busy")
  else response.end("charged")
})
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
const url = \`http://127.0.0.1:\${(server.address() as AddressInfo).port}/orders/1\`

const program = Effect.gen(function*() {
  const payments = yield* makePayments
  const response = yield* payments.get(url)
  return { status: response.status, body: yield* response.text, requests }
}).pipe(Effect.provide(FetchHttpClient.layer))

console.log(JSON.stringify(await Effect.runPromise(program)))
server.closeAllConnections()
server.close()
`

const compilerOptions = {
  target: "ES2022",
  module: "nodenext",
  moduleResolution: "nodenext",
  strict: true,
  // Our declarations are read too, as by users who do not skip them.
  skipLibCheck: false,
  types: ["node"],
  rootDir: "src",
  outDir: "out"
}

// -- the trial ------------------------------------------------------------------------

const place = fs.mkdtempSync(path.join(os.tmpdir(), "holdfast-try-"))
const directory = path.join(place, "app")
const tarballs = path.join(place, "tarballs")

try {
  fs.mkdirSync(path.join(directory, "src"), { recursive: true })
  fs.mkdirSync(tarballs)

  build()
  told(`built ${packages.map(({ manifest }) => manifest.name).join(", ")}`)
  pack(tarballs)
  told(`packed ${fs.readdirSync(tarballs).join(", ")}`)
  install(directory, tarballs)
  told(`installed beside ${beside.join(", ")}`)

  const modules = packages.flatMap((one) => inspect(directory, one))
  const readme = (name) => fs.readFileSync(path.join(directory, "node_modules", name, "README.md"), "utf8")
  const sources = {
    "tenLines.ts": tenLines(fs.readFileSync(path.join(root, "README.md"), "utf8")),
    "client.ts": client(readme("@holdfast/http")),
    "everything.ts": modules.map((name, index) => `export * as module${index} from "${name}"\n`).join("")
  }
  for (const { manifest: { name } } of packages) {
    wholeBlocks(readme(name)).forEach((code, index) => {
      sources[`readme-${name.split("/")[1]}-${index + 1}.ts`] = `${code}\nexport {}\n`
    })
  }
  for (const [file, code] of Object.entries(sources)) fs.writeFileSync(path.join(directory, "src", file), code)
  fs.writeFileSync(path.join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }))
  run(directory, path.join(directory, "node_modules/.bin/tsc"), "-p", ".")
  told(`type-checked ${Object.keys(sources).join(", ")}`)

  fs.writeFileSync(path.join(directory, "load.js"), loader(modules, packages.map(({ manifest }) => manifest.name)))
  run(directory, process.execPath, "--no-warnings", "load.js")
  told(`imported and required ${modules.length} modules`)

  const said = (file) => run(directory, process.execPath, `out/${file.replace(/ts$/, "js")}`).trim()
  for (const file of Object.keys(sources).filter((name) => name.startsWith("readme-"))) said(file)
  told("ran what the READMEs of the packages show")
  const receipt = said("tenLines.ts")
  expect("the ten lines", receipt === "{\"order\":\"o-1\",\"paid\":true}", receipt)
  told(`ran the ten lines: ${receipt}`)
  const answer = said("client.ts")
  expect("the protected client", answer === "{\"status\":200,\"body\":\"charged\",\"requests\":3}", answer)
  told(`called a server that was busy twice: ${answer}`)
} catch (error) {
  console.error(`\nThe packages do not hold what they promise:\n${error.message}`)
  process.exitCode = 1
} finally {
  if (process.argv.includes("--keep")) console.log(`kept ${place}`)
  else fs.rmSync(place, { recursive: true, force: true })
}
