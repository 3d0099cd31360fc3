/** The files of this package that are made from its sources, by their paths. */
import { alerts, recordings } from "@holdfast/metrics/AlertRules"
import { dashboard } from "@holdfast/metrics/GrafanaDashboard"
import { all } from "@holdfast/metrics/MetricFamilies"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { stringify } from "yaml"

export const root = Path.resolve(Path.dirname(fileURLToPath(import.meta.url)), "..")

const documentation = "https://github.com/holdfast-effect/holdfast/blob/main/packages/metrics/docs/alerts.md"

const rules = (): string => {
  const file = {
    groups: [
      {
        name: "holdfast-recording",
        rules: recordings.map(({ expression, record }) => ({ record, expr: expression }))
      },
      {
        name: "holdfast-alerts",
        rules: alerts.map(({ alert, description, expression, for: lasting, severity, summary }) => ({
          alert,
          expr: expression,
          ...(lasting === undefined ? {} : { for: lasting }),
          labels: { severity },
          annotations: { summary, description, runbook_url: `${documentation}#${alert.toLowerCase()}` }
        }))
      }
    ]
  }
  return "# Made from src/AlertRules.ts by `npm run generate`: change that, not this.\n" +
    stringify(file, { lineWidth: 0 })
}

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  rows.map((row) => `| ${row.map((cell) => cell.replace(/\|/g, "\\|")).join(" | ")} |`).join("\n")

const familiesTable = (): string =>
  table([
    ["name", "type", "labels", "what it says"],
    ["---", "---", "---", "---"],
    ...all.map(({ buckets, help, labels, metric, type }) => [
      `\`${metric}\``,
      buckets === undefined ? type : `${type} ${buckets.join(" ")}`,
      labels.join(", "),
      help
    ])
  ])

const alertsTable = (): string =>
  table([
    ["alert", "fires when", "severity"],
    ["---", "---", "---"],
    ...alerts.map(({ alert, expression, for: lasting, severity }) => [
      `[${alert}](#${alert.toLowerCase()})`,
      `\`${expression}\`, ${lasting === undefined ? "at once" : `for ${lasting}`}`,
      severity
    ])
  ])

const recordingsTable = (): string =>
  table([
    ["recorded as", "says"],
    ["---", "---"],
    ...recordings.map(({ record, says }) => [`\`${record}\``, says])
  ])

/** Whole files. */
export const files: Readonly<Record<string, () => string>> = {
  "alerts/holdfast.rules.yml": rules,
  "dashboards/holdfast.json": () => `${JSON.stringify(dashboard(), undefined, 2)}\n`
}

/** Parts of pages, between the two comments that name them. */
export const parts: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
  "docs/metrics.md": { families: familiesTable },
  "docs/alerts.md": { alerts: alertsTable, recordings: recordingsTable }
}

/** A page with its parts made anew. */
export const filled = (page: string, text: string): string =>
  Object.entries(parts[page] ?? {}).reduce((filled, [part, make]) => {
    const [begin, end] = [`<!-- begin ${part} -->\n`, `<!-- end ${part} -->`]
    const from = filled.indexOf(begin)
    const to = filled.indexOf(end)
    if (from < 0 || to < from) {
      throw new Error(`${page} has no place for ${part}`)
    }
    return `${filled.slice(0, from + begin.length)}\n${make()}\n\n${filled.slice(to)}`
  }, text)
