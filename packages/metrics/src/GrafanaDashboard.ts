/**
 * The Grafana dashboard, made of the `DashboardRows`; `dashboards/holdfast.json` is this.
 *
 * @since 0.1.0
 */
import { type Panel, rows } from "./DashboardRows.js"
import { select } from "./internal/promql.js"
import { families } from "./MetricFamilies.js"

const columns = 24
const height = 8

const field = ({ kind, unit }: Panel) => ({
  defaults: {
    unit,
    min: 0,
    ...(unit === "percentunit" ? { max: 1 } : {}),
    ...(kind === "state-timeline"
      ? {
        mappings: [{
          type: "value",
          options: {
            0: { text: "closed", color: "green", index: 0 },
            1: { text: "open", color: "red", index: 1 },
            2: { text: "half-open", color: "yellow", index: 2 }
          }
        }]
      }
      : {})
  },
  overrides: []
})

const datasource = { type: "prometheus", uid: "${datasource}" }

/**
 * The dashboard as Grafana imports it: rows one below the other, the panels of a row side by side.
 *
 * @example
 * import { dashboard } from "@holdfast/metrics/GrafanaDashboard"
 *
 * console.log(dashboard().title) // "Holdfast"
 *
 * @since 0.1.0
 * @category dashboard
 */
export const dashboard = () => {
  const panels: Array<object> = []
  let y = 0
  let id = 1
  for (const row of rows) {
    panels.push({
      id: id++,
      type: "row",
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y, w: columns, h: 1 },
      panels: []
    })
    const width = Math.floor(columns / row.panels.length)
    row.panels.forEach((panel, place) =>
      panels.push({
        id: id++,
        type: panel.kind,
        title: panel.title,
        description: panel.description,
        datasource,
        gridPos: { x: place * width, y: y + 1, w: width, h: height },
        fieldConfig: field(panel),
        targets: panel.targets.map(({ expression, legend }, index) => ({
          refId: String.fromCharCode(65 + index),
          datasource,
          expr: expression,
          legendFormat: legend
        }))
      })
    )
    y += 1 + height
  }
  return {
    title: "Holdfast",
    uid: "holdfast",
    description: "What the policies around each dependency do, a row per pattern.",
    tags: ["holdfast", "resilience"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    templating: {
      list: [
        { name: "datasource", type: "datasource", query: "prometheus", label: "Data source" },
        {
          name: "service",
          type: "query",
          label: "Service",
          datasource,
          query: { query: `label_values(${select(families.calls)}, service)`, refId: "service" },
          includeAll: true,
          multi: true,
          allValue: ".*",
          current: { text: "All", value: "$__all" },
          refresh: 2,
          sort: 1
        }
      ]
    },
    panels
  }
}
