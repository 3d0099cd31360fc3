import { vi } from "vitest"

/** Runs an example by importing it, as `node` would, and answers with what it printed. One at a time: the console is one for all. */
export const printedBy = async (load: () => Promise<unknown>): Promise<string> => {
  const lines: Array<string> = []
  const spy = vi.spyOn(console, "log").mockImplementation((...words: ReadonlyArray<unknown>) => {
    lines.push(words.join(" "))
  })
  try {
    await load()
  } finally {
    spy.mockRestore()
  }
  return lines.join("\n")
}

/** The cells of the row of a printed table that begins with this title. */
export const row = (printed: string, title: string): ReadonlyArray<string> => {
  const line = printed.split("\n").find((line) => line.trimStart().startsWith(title))
  if (line === undefined) {
    throw new Error(`no row "${title}" in\n${printed}`)
  }
  return line.trim().split(/ {2,}/)
}

/** A printed figure, without its thousands separators and unit. */
export const figure = (cell: string | undefined): number => Number.parseFloat((cell ?? "").replace(/,/g, ""))
