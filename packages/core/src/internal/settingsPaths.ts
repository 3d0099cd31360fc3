/**
 * Finds the settings that a config provider has, however it splits and spells their names.
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import type * as ConfigProvider from "effect/ConfigProvider"
import type * as PathPatch from "effect/ConfigProviderPathPatch"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/**
 * Where a provider has a value, as `Config` names it.
 *
 * @internal
 */
export type Path = ReadonlyArray<string>

/**
 * The name of the variable for a field: `retry.maxRetries` is `RETRY_MAX_RETRIES`.
 *
 * @internal
 */
export const variable = (field: string): string =>
  field.replace(/([a-z0-9])([A-Z])/g, "$1_$2").replace(/[^A-Za-z0-9]+/g, "_").replace(/^_|_$/g, "").toUpperCase()

const textOf = <A>(path: Path, last: (name: string) => Config.Config<A>) =>
  path.slice(0, -1).reduceRight((inner, part) => Config.nested(inner, part), last(path[path.length - 1]!))

/**
 * The whole text at a path. Below `ConfigProvider.nested` Effect reads a text with a comma as a list: the first of it alone would be
 * another value.
 *
 * @internal
 */
export const textAt = (path: Path): Effect.Effect<string | undefined, ConfigError.ConfigError> =>
  Effect.flatMap(Config.option(textOf(path, Config.string)), (found) => {
    if (Option.isNone(found)) {
      return Effect.succeed(undefined)
    }
    const text = found.value
    const all = textOf(path, (name) => Config.array(Config.string(), name))
    return Effect.orElseSucceed(
      Effect.map(all, (parts) => parts.length > 1 && parts[0] === text ? parts.join(",") : text),
      () => text
    )
  })

/** What a provider makes of a path before it looks there; `undefined` where it looks nowhere. */
const patched = (path: Path, patch: PathPatch.PathPatch): Path | undefined => {
  switch (patch._tag) {
    case "Empty":
      return path
    case "AndThen": {
      const first = patched(path, patch.first)
      return first && patched(first, patch.second)
    }
    case "MapName":
      return path.map(patch.f)
    case "Nested":
      return [patch.name, ...path]
    case "Unnested":
      return path[0] === patch.name ? path.slice(1) : undefined
  }
}

/** What it makes of a name that is not the first of a path. */
const respelt = (name: string, patch: PathPatch.PathPatch): string =>
  patch._tag === "AndThen"
    ? respelt(respelt(name, patch.first), patch.second)
    : patch._tag === "MapName"
    ? patch.f(name)
    : name

/** What `Config` may call a name that the provider lists. Where names get a head or a tail of their own, without these. */
const spellings = (listed: string, patch: PathPatch.PathPatch): ReadonlySet<string> => {
  const again = respelt(listed, patch)
  const added = again.length - listed.length
  const bare = added <= 0
    ? listed
    : again.endsWith(listed)
    ? listed.slice(added)
    : again.startsWith(listed)
    ? listed.slice(0, -added)
    : listed
  return new Set([variable(bare), bare, variable(listed), listed].filter((name) => name !== ""))
}

/** What the provider lists below a path, in its own spelling; nothing, where it cannot list. */
const childrenOf = (flat: ConfigProvider.ConfigProvider.Flat, path: Path): Effect.Effect<ReadonlyArray<string>> => {
  const at = patched(path, flat.patch)
  return at === undefined
    ? Effect.succeed([])
    : Effect.map(Effect.orElseSucceed(flat.enumerateChildren([...at]), (): Iterable<string> => []), (all) => [...all])
}

/** The beginnings of the rest of a prefix, which one name may hold: of `A_B` `A` and `A_B`. */
const beginnings = (rest: string): ReadonlyArray<string> =>
  rest === "" ? [] : rest.split("_").map((_, place, words) => words.slice(0, place + 1).join("_"))

/** No setting has as many words. */
const mostParts = 16

/**
 * Every name below the prefix that the provider lists, with the paths at which it may be. `Config` reads paths in the spelling of the
 * program, the provider lists its own, and only the way from the one to the other is known: a spelling is taken if the provider has
 * something there.
 *
 * @internal
 */
export const pathsBelow = (prefix: string): Effect.Effect<ReadonlyMap<string, ReadonlyArray<Path>>> =>
  Effect.configProviderWith(({ flattened }) => {
    const found = new Map<string, Array<Path>>()
    const visited = new Set<string>()
    const leads = (path: Path): boolean => {
      const joined = path.join("_")
      return joined === prefix || joined.startsWith(`${prefix}_`) || prefix.startsWith(`${joined}_`)
    }
    const has = (path: Path): Effect.Effect<boolean> =>
      Effect.flatMap(childrenOf(flattened, path), (children) =>
        children.length > 0
          ? Effect.succeed(true)
          : Effect.orElseSucceed(Effect.map(textAt(path), (text) => text !== undefined), () => true))
    const walk = (path: Path): Effect.Effect<void> =>
      Effect.gen(function*() {
        const joined = path.join("_")
        const rest = path.length === 0 ? prefix : prefix.slice(joined.length + 1)
        // No list has them where the provider calls the prefix otherwise, or takes its first word away.
        for (const name of prefix.startsWith(joined) ? beginnings(rest) : []) {
          yield* visit([...path, name])
        }
        const children = yield* childrenOf(flattened, path)
        for (const child of children) {
          const paths = [...spellings(child, flattened.patch)].filter((name) => {
            const listed = respelt(name, flattened.patch)
            return listed === child || !children.includes(listed)
          }).map((name) => [...path, name]).filter(leads)
          if (paths.length === 1) {
            yield* visit(paths[0]!)
            continue
          }
          for (const one of paths) {
            if (yield* has(one)) {
              yield* visit(one)
              break
            }
          }
        }
      })
    const visit = (path: Path): Effect.Effect<void> =>
      Effect.suspend(() => {
        const id = JSON.stringify(path)
        if (visited.has(id)) {
          return Effect.void
        }
        visited.add(id)
        const joined = path.join("_")
        if (joined.startsWith(`${prefix}_`)) {
          const name = joined.slice(prefix.length + 1)
          found.set(name, [...found.get(name) ?? [], path])
        }
        return path.length <= mostParts ? walk(path) : Effect.void
      })
    return Effect.as(walk([]), found)
  })
