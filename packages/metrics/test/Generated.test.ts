import { assert, describe, it } from "@effect/vitest"
import { alerts, recordings } from "@holdfast/metrics/AlertRules"
import { rows } from "@holdfast/metrics/DashboardRows"
import { dashboard } from "@holdfast/metrics/GrafanaDashboard"
import { all } from "@holdfast/metrics/MetricFamilies"
import type { SyntaxNode } from "@lezer/common"
import { parser } from "@prometheus-io/lezer-promql"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { files, filled, parts, root } from "../scripts/generated.js"
import { describeWith, promtool } from "./support/peer.js"

const read = (file: string) => Fs.readFileSync(Path.join(root, file), "utf8")

describe("the generated files", () => {
  for (const [file, make] of Object.entries(files)) {
    it(`${file} is what its source says: npm run generate`, () => assert.strictEqual(read(file), make()))
  }

  for (const page of Object.keys(parts)) {
    it(`the tables of ${page} are what their source says: npm run generate`, () =>
      assert.strictEqual(read(page), filled(page, read(page))))
  }

  it("docs/alerts.md says of every alert what to do, under the anchor that the alert links to", () => {
    const sections = read("docs/alerts.md").split(/^## /m).slice(1).map((section) => section.split("\n"))
    const titles = sections.map(([title]) => title)
    for (const { alert } of alerts) {
      const section = sections[titles.indexOf(alert)]
      assert.isDefined(section, `no section for ${alert}`)
      assert.isAbove(section!.join("\n").length, 200, `the section for ${alert} says nothing`)
    }
  })
})

// -- expressions -------------------------------------------------------------

/** Every metric that a query may name: the families with the names of their samples, and the recordings. Each with its labels. */
const known = new Map<string, ReadonlySet<string>>()
for (const { labels, metric, type } of all) {
  // Prometheus adds these two to whatever it scrapes.
  const scraped = [...labels, "job", "instance"]
  if (type === "histogram") {
    known.set(`${metric}_bucket`, new Set([...scraped, "le"]))
    known.set(`${metric}_sum`, new Set(scraped))
    known.set(`${metric}_count`, new Set(scraped))
  } else {
    known.set(metric, new Set(scraped))
  }
}

/** What is wrong with an expression: that it is no PromQL, or what in it does not exist. */
const findings = (expression: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  // A variable of Grafana stands where a duration does.
  const text = expression.replace(/\$__rate_interval/g, "2m")
  const textOf = (node: SyntaxNode) => text.slice(node.from, node.to)
  /** The labels that an expression can have. Walks it from the inside out. */
  const labelsOf = (node: SyntaxNode): ReadonlySet<string> => {
    const children: Array<SyntaxNode> = []
    for (let child = node.firstChild; child !== null; child = child.nextSibling) {
      children.push(child)
    }
    if (node.type.isError) {
      found.push(`no PromQL at ${node.from}: ${text}`)
    }
    if (node.name === "VectorSelector") {
      const metric = textOf(node.getChild("Identifier")!)
      const labels = known.get(metric)
      if (labels === undefined) {
        found.push(`no metric ${metric}`)
        return new Set()
      }
      for (const matcher of node.getChild("LabelMatchers")?.getChildren("UnquotedLabelMatcher") ?? []) {
        const label = textOf(matcher.getChild("LabelName")!)
        if (!labels.has(label)) {
          found.push(`${metric} has no label ${label}`)
        }
      }
      return labels
    }
    if (node.name === "AggregateExpr") {
      const inner = labelsOf(node.getChild("FunctionCallBody")!)
      const labels = node.getChild("AggregateModifier")!.getChild("GroupingLabels")!.getChildren("LabelName").map(
        textOf
      )
      found.push(
        ...labels.filter((label) => !inner.has(label)).map((label) => `no label ${label} to group by: ${text}`)
      )
      return new Set(labels)
    }
    // Of anything else: those of its first part that has any.
    return children.map(labelsOf).reduce((first, labels) => first.size > 0 ? first : labels, new Set<string>())
  }
  const labels = labelsOf(parser.parse(text).topNode)
  labelsByExpression.set(expression, labels)
  return found
}

const labelsByExpression = new Map<string, ReadonlySet<string>>()

describe("the expressions", () => {
  // In order: a rule may use what was recorded before it.
  for (const { expression, record } of recordings) {
    it(`${record} names only what exists`, () => assert.deepStrictEqual(findings(expression), []))
    findings(expression)
    known.set(record, labelsByExpression.get(expression)!)
  }

  for (const { alert, description, expression, summary } of alerts) {
    it(`${alert} names only what exists, and so does its text`, () => {
      assert.deepStrictEqual(findings(expression), [])
      const labels = labelsByExpression.get(expression)!
      const named = [...`${summary} ${description}`.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label!)
      assert.isNotEmpty(named)
      assert.deepStrictEqual(named.filter((label) => !labels.has(label)), [])
    })
  }

  for (const row of rows) {
    it(`the row ${row.title} names only what exists, and so do its legends`, () => {
      for (const { targets, title } of row.panels) {
        for (const { expression, legend } of targets) {
          assert.deepStrictEqual(findings(expression), [], title)
          const labels = labelsByExpression.get(expression)!
          const named = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!)
          assert.deepStrictEqual(named.filter((label) => !labels.has(label)), [], title)
        }
      }
    })
  }

  it("what is misspelt or does not exist is found", () => {
    assert.deepStrictEqual(findings("sum by (service) (rate(http_client_timeout_total[2m]))"), [
      "no metric http_client_timeout_total",
      "no label service to group by: sum by (service) (rate(http_client_timeout_total[2m]))"
    ])
    assert.deepStrictEqual(findings("circuit_breaker_state{operation=\"x\"} > 0"), [
      "circuit_breaker_state has no label operation"
    ])
    assert.isNotEmpty(findings("sum by (service) (rate(circuit_breaker_trips_total[2m])"))
    assert.isNotEmpty(findings("rate(http_client_request_duration_seconds[2m])"), "a histogram is not a series")
  })

  it("every family is on the dashboard or in a rule", () => {
    const text = JSON.stringify([rows, recordings, alerts])
    const unused = all.filter(({ metric }) => !text.includes(metric)).map(({ metric }) => metric)
    assert.deepStrictEqual(unused, ["holdfast_circuit_breaker_state_age_seconds"])
  })
})

describe("the dashboard", () => {
  const { panels, templating } = dashboard() as any

  it("has a row per pattern, with its panels side by side below it, and ids that are there once", () => {
    const titles = panels.filter(({ type }: any) => type === "row").map(({ title }: any) => title)
    assert.includeMembers(titles, ["Timeouts", "Retries", "Circuit breakers", "Bulkheads", "Fallbacks"])
    assert.strictEqual(new Set(panels.map(({ id }: any) => id)).size, panels.length)
    const taken = new Set<string>()
    for (const { gridPos: { h, w, x, y }, title } of panels) {
      assert.isAtMost(x + w, 24, title)
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          assert.isFalse(taken.has(`${column} ${line}`), `${title} lies over another panel`)
          taken.add(`${column} ${line}`)
        }
      }
    }
  })

  it("every panel says what it shows, and asks the data source that was chosen for the services that were chosen", () => {
    assert.deepStrictEqual(templating.list.map((one: any) => one.name), ["datasource", "service"])
    for (const panel of panels.filter(({ type }: any) => type !== "row")) {
      assert.isNotEmpty(panel.description)
      assert.deepStrictEqual(panel.datasource, { type: "prometheus", uid: "${datasource}" })
      for (const { expr } of panel.targets) {
        assert.include(expr, "service=~\"$service\"", panel.title)
      }
    }
  })
})

describeWith("promtool", "the rules, as promtool sees them", () => {
  it("promtool check rules finds nothing wrong", async () => {
    const { code, output } = await promtool(["check", "rules", Path.join(root, "alerts/holdfast.rules.yml")])
    assert.include(output, `SUCCESS: ${recordings.length + alerts.length} rules found`)
    assert.strictEqual(code, 0)
  })

  for (const file of Fs.readdirSync(Path.join(root, "test/alerts"))) {
    it(`promtool test rules: ${file}`, async () => {
      const { code, output } = await promtool(["test", "rules", Path.join(root, "test/alerts", file)])
      assert.strictEqual(code, 0, output)
    })
  }

  it("every alert has a test in which it fires", () => {
    const tests = Fs.readdirSync(Path.join(root, "test/alerts")).map((file) => read(`test/alerts/${file}`)).join("\n")
    for (const { alert } of alerts) {
      assert.match(tests, new RegExp(`alertname="${alert}", alertstate="firing"`), alert)
    }
  })
})
