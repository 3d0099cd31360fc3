/**
 * Opens a page and tells what a reader sees of it, in a few lines: notices only where they differ from those of the page before.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

const entities: { readonly [entity: string]: string } = { amp: "&", lt: "<", gt: ">", quot: "\"", "#39": "'" }

const textOf = (markup: string): string =>
  markup.replace(/<[^>]*>/g, "").replace(/&(amp|lt|gt|quot|#39);/g, (_, entity: string) => entities[entity]!).trim()

const all = (page: string, pattern: RegExp): ReadonlyArray<string> =>
  [...page.matchAll(pattern)].map(([, content]) => textOf(content!))

let before = ""

export const look = (url: string) =>
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const startedAt = performance.now()
    const response = yield* client.get(url)
    const page = yield* response.text
    const millis = Math.round(performance.now() - startedAt)
    const heading = all(page, /<h1>(.*?)<\/h1>/gs)[0] ?? ""
    const price = all(page, /<p class="price">(.*?)<small>/gs)[0] ?? "no price"
    yield* Console.log(`  ${response.status}  ${String(millis).padStart(4)} ms  ${heading}, ${price}`)
    const notices = [
      ...all(page, /role="status">(.*?)<\/div>/gs),
      ...all(page, /<p class="(?:notice|aside)">(.*?)<\/p>/gs)
    ]
    if (notices.join() !== before) {
      before = notices.join()
      yield* Effect.forEach(notices, (notice) => Console.log(`                ! ${notice}`))
    }
  })
