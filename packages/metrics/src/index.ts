/**
 * Every module of `@holdfast/metrics` under its name that needs nothing but effect. Importing the modules one by one loads less;
 * `PrometheusEndpoint` needs `@effect/platform` and is imported by itself.
 *
 * @since 0.1.0
 */
export * as AlertRules from "./AlertRules.js"
export * as DashboardRows from "./DashboardRows.js"
export * as GrafanaDashboard from "./GrafanaDashboard.js"
export * as MetricFamilies from "./MetricFamilies.js"
export * as PrometheusText from "./PrometheusText.js"
export * as RegistryMetrics from "./RegistryMetrics.js"
export * as ResilienceMetrics from "./ResilienceMetrics.js"
