/**
 * Pages as tagged templates: whatever is put into one is text, and becomes markup only if it was made by `html`.
 */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export type Content = Markup | string | number | undefined | ReadonlyArray<Content>

const escapes: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

const render = (content: Content): string =>
  content === undefined
    ? ""
    : content instanceof Markup
    ? content.text
    : Array.isArray(content)
    ? content.map(render).join("")
    : String(content).replace(/[&<>"']/g, (character) => escapes[character]!)

/** `undefined` is nothing, an array is its parts one after the other. */
export const html = (strings: TemplateStringsArray, ...values: ReadonlyArray<Content>): Markup =>
  new Markup(strings.reduce((before, after, index) => before + render(values[index - 1]) + after))
