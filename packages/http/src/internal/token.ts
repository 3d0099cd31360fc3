/**
 * The characters of a token (RFC 9110): what a method and the name of a header may have.
 */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** @internal */
export const isToken = (text: string): boolean => token.test(text)
