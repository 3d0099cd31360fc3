/**
 * Reads a list of items with parameters, the part of structured fields (RFC 9651) that the rate-limit fields use.
 */

/** @internal */
export type BareItem = string | number | boolean

/** @internal */
export interface Item {
  readonly value: BareItem
  readonly parameters: ReadonlyMap<string, BareItem>
}

const string = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y
const number = /-?\d{1,15}(?:\.\d{1,3})?/y
const token = /[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*/y
const bytes = /:([A-Za-z0-9+/=]*):/y
const truth = /\?([01])/y
const key = /[a-z*][a-z0-9_\-.*]*/y
const separator = /[ \t]*,[ \t]*/y
const semicolon = /; */y

class Reader {
  private readonly text: string
  private at = 0
  constructor(text: string) {
    this.text = text
  }

  private take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (found !== null) {
      this.at = pattern.lastIndex
    }
    return found
  }

  private bare(): BareItem | undefined {
    const text = this.take(string)
    if (text !== null) {
      return text[1]!.replace(/\\(["\\])/g, "$1")
    }
    const digits = this.take(number)
    if (digits !== null) {
      return Number(digits[0])
    }
    const flag = this.take(truth)
    return flag !== null ? flag[1] === "1" : this.take(token)?.[0] ?? this.take(bytes)?.[1]
  }

  list(): ReadonlyArray<Item> | undefined {
    const items: Array<Item> = []
    do {
      const value = this.bare()
      if (value === undefined) {
        return undefined
      }
      const parameters = new Map<string, BareItem>()
      while (this.take(semicolon) !== null) {
        const name = this.take(key)?.[0]
        if (name === undefined) {
          return undefined
        }
        let parameter: BareItem | undefined = true
        if (this.text[this.at] === "=") {
          this.at++
          parameter = this.bare()
        }
        if (parameter === undefined) {
          return undefined
        }
        parameters.set(name, parameter)
      }
      items.push({ value, parameters })
    } while (this.take(separator) !== null)
    return this.at === this.text.length ? items : undefined
  }
}

/** By hand: an expression that looks for the spaces at the end begins anew at each space of a long row that is not there. */
const withoutSpaces = (text: string): string => {
  let begin = 0
  let end = text.length
  while (begin < end && text[begin] === " ") {
    begin++
  }
  while (end > begin && text[end - 1] === " ") {
    end--
  }
  return text.slice(begin, end)
}

/**
 * The items of a list, or `undefined` when any part of it is malformed.
 *
 * @internal
 */
export const parseList = (text: string): ReadonlyArray<Item> | undefined => {
  const trimmed = withoutSpaces(text)
  return trimmed === "" ? [] : new Reader(trimmed).list()
}
