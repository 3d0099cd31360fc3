/**
 * The keys of a rate limit: bounded in length, and never one for two. A key of the program's own and the address of a client are told
 * apart, and a long key is hashed instead of cut.
 */

/** Begins a key of the program's own that could be taken for another kind of key. */
const ownMarker = "own:"

/** Counts for all clients of which not even the address is known. */
export const unknownAddress = "unknown"

/** Whether the default key, of the network of an address, may be this. */
const readsLikeAddress = (key: string): boolean =>
  key === unknownAddress || /^\d{1,3}(?:\.\d{1,3}){3}$|^[\da-f:]+\/64$/.test(key)

/** Begins a key that is a hash. */
const hashMarker = "sha256:"

const longestKey = 256

type Sha256 = (text: string) => string

/** Found when it is first needed, since browsers and bundles for them load this package too. */
const findSha256 = (): Sha256 | undefined => {
  const { process } = globalThis as {
    readonly process?: { readonly getBuiltinModule?: (id: string) => typeof import("node:crypto") | undefined }
  }
  const crypto = process?.getBuiltinModule?.("node:crypto")
  return crypto && ((text) => crypto.createHash("sha256").update(text, "utf16le").digest("base64url"))
}

let sha256: Sha256 | undefined

/** Where there is no hash, a long key stays whole: it takes more memory, and is still that of one client only. */
const hashed = (key: string): string => hashMarker + (sha256 ??= findSha256() ?? ((text) => text))(key)

/** A key cut from a header keeps the whole header in memory: so it is copied. */
const copied = (key: string): string => (" " + key).slice(1)

/**
 * The key of the program's own as it is counted: itself, its hash where it is long or reads like one, and marked where it reads like the
 * address of a client.
 *
 * @internal
 */
export const ownKey = (key: string): string =>
  key.length > longestKey || key.startsWith(hashMarker)
    ? hashed(key)
    : key.startsWith(ownMarker) || readsLikeAddress(key)
    ? ownMarker + key
    : copied(key)

const longestShown = 64

/**
 * A key as logs show it: a long one by its beginning and its hash.
 *
 * @internal
 */
export const shownKey = (key: string): string => {
  if (key.length <= longestShown) {
    return key
  }
  const hash = `...${hashed(key)}`
  return hash.length < longestShown ? key.slice(0, longestShown - hash.length) + hash : key
}
