/**
 * Draws figures in a terminal with block characters: no colour, nothing wider than it is told to be.
 */

const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]

/** A bar from the left; whatever is above zero shows. */
export const bar = (value: number, largest: number, width: number): string => {
  const parts = largest <= 0 ? 0 : Math.round(Math.min(1, value / largest) * width * 8)
  const shown = value > 0 ? Math.max(1, parts) : 0
  return "█".repeat(Math.floor(shown / 8)) + eighths[shown % 8]
}

const rises = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

/** Columns side by side, one character wide, from the bottom of so many lines; whatever is above zero shows. */
export const columns = (values: ReadonlyArray<number>, largest: number, height: number): ReadonlyArray<string> => {
  const parts = values.map((value) =>
    value > 0 ? Math.max(1, Math.round(Math.min(1, value / largest) * height * 8)) : 0
  )
  return Array.from({ length: height }, (_, line) => {
    const below = (height - 1 - line) * 8
    return parts.map((part) => rises[Math.max(0, Math.min(8, part - below))]).join("").trimEnd()
  })
}

/** A whole number with its thousands apart: 6,000. */
export const count = (value: number): string => Math.round(value).toLocaleString("en-US")

/** A table: the first column on the left, figures on the right, a blank line's worth of air between them. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)))
  return rows
    .map((row) =>
      row.map((cell, column) => column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)).join("   ")
        .trimEnd()
    )
    .join("\n")
}

/** The columns of the terminal that these pages are written for. */
export const screen = 100

/** Breaks a text at spaces, so that no line is wider than the screen; lines after the first begin with so many spaces. */
export const fold = (text: string, hanging = 0, width = screen): string => {
  const lines: Array<string> = []
  let line = /^ */.exec(text)![0]
  let empty = true
  for (const word of text.trim().split(" ")) {
    const next = empty ? line + word : `${line} ${word}`
    if (next.length > width && !empty) {
      lines.push(line)
      line = " ".repeat(hanging) + word
    } else {
      line = next
    }
    empty = false
  }
  return [...lines, line].join("\n")
}

/** Breaks every line of a text. */
export const foldLines = (text: string, hanging = 0): string =>
  text.split("\n").map((line) => fold(line, hanging)).join("\n")
