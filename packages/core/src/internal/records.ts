/**
 * Reads records by names that come from outside: a name such as `constructor` must not find what every object inherits.
 */

/**
 * The value that the record itself has under the name.
 *
 * @internal
 */
export const ownValue = <A>(record: { readonly [name: string]: A }, name: string): A | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined
