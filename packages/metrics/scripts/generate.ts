/** Writes the generated files: `npm run --silent generate`. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { files, filled, parts, root } from "./generated.js"

const write = (file: string, text: string): void => {
  Fs.mkdirSync(Path.dirname(Path.join(root, file)), { recursive: true })
  Fs.writeFileSync(Path.join(root, file), text)
}

for (const [file, make] of Object.entries(files)) {
  write(file, make())
}
for (const page of Object.keys(parts)) {
  write(page, filled(page, Fs.readFileSync(Path.join(root, page), "utf8")))
}
