/**
 * The keys of a rate limit: bounded in length, and never one for two. A key of the program's own and the address of a client are told
 * apart, and a long key is hashed instead of cut.
 */

/** Begins the key of a client's address. */
const addressMarker = "address:"

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
 * The key of the program's own as it is counted: itself, or its hash where it is long or could be taken for another kind of key.
 *
 * @internal
 */
export const ownKey = (key: string): string =>
  key.length > longestKey || key.startsWith(addressMarker) || key.startsWith(hashMarker) ? hashed(key) : copied(key)

/**
 * The key of a client by its address.
 *
 * @internal
 */
export const addressKey = (network: string): string => addressMarker + network

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
