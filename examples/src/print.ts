/**
 * Prints what an example has found: columns side by side, figures on the right of theirs and words on the left.
 */
import * as Console from "effect/Console"

export type Cell = string | number

const isFigure = (cell: string): boolean => /^([\d.,]+( (ms|s|%|\/s))?)?$/.test(cell)

/** The first row names the columns. */
export const printTable = (rows: ReadonlyArray<ReadonlyArray<Cell>>) => {
  const texts = rows.map((row) => row.map((cell) => typeof cell === "number" ? cell.toLocaleString("en-US") : cell))
  const columns = (texts[0] ?? []).map((_, column) => {
    const cells = texts.map((row) => row[column] ?? "")
    return { width: Math.max(...cells.map((cell) => cell.length)), figures: cells.slice(1).every(isFigure) }
  })
  return Console.log(
    texts.map((row) =>
      row.map((cell, column) => {
        const { figures, width } = columns[column]!
        return figures ? cell.padStart(width) : cell.padEnd(width)
      }).join("   ").trimEnd()
    ).join("\n")
  )
}
