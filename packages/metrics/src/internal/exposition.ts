/**
 * Builds the text format of Prometheus, family by family. Every name and value is made to fit: one bad line makes Prometheus drop the
 * whole scrape.
 */
import type * as MetricKey from "effect/MetricKey"
import * as MetricKeyType from "effect/MetricKeyType"
import type * as MetricLabel from "effect/MetricLabel"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

type Type = "counter" | "gauge" | "histogram" | "summary" | "untyped"

type Label = readonly [name: string, value: string]

interface Block {
  readonly name: string
  readonly type: Type
  readonly help: string
  /** The lines of each series by its labels, so that no series can be there twice. */
  readonly series: Map<string, ReadonlyArray<string>>
}

const escapeHelp = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")

const escapeValue = (text: string): string => escapeHelp(text).replace(/"/g, "\\\"")

/** Colons are for recording rules. */
const fit = (name: string): string => name.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=[0-9]|$)/, "_")

/** Names that begin with two underscores are Prometheus's own. */
const fitLabel = (name: string): string => fit(name).replace(/^__+/, "_")

const show = (value: number | bigint): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

const labelText = (labels: ReadonlyArray<Label>): string =>
  labels.length === 0 ? "" : `{${labels.map(([name, value]) => `${name}="${escapeValue(value)}"`).join(",")}}`

/** Of labels with one name the last counts. */
const fitLabels = (tags: ReadonlyArray<MetricLabel.MetricLabel>, reserved: ReadonlyArray<string>): Array<Label> => {
  const labels = new Map<string, string>()
  for (const { key, value } of tags) {
    const name = fitLabel(key)
    labels.set(reserved.includes(name) ? `label_${name}` : name, value)
  }
  return [...labels]
}

/** A counter of Effect's may fall unless it says that it does not; Prometheus would take that for a restart. */
const typeOf = (key: MetricKey.MetricKey.Untyped): Type => {
  const { keyType } = key
  return MetricKeyType.isHistogramKey(keyType)
    ? "histogram"
    : MetricKeyType.isSummaryKey(keyType)
    ? "summary"
    : MetricKeyType.isFrequencyKey(keyType) || (MetricKeyType.isCounterKey(keyType) && keyType.incremental)
    ? "counter"
    : "gauge"
}

const nameOf = (key: MetricKey.MetricKey.Untyped, type: Type): string => {
  const name = fit(key.name)
  return type === "counter" && !name.endsWith("_total") ? `${name}_total` : name
}

/** @internal */
export class Exposition {
  private readonly blocks = new Map<string, Block>()
  private readonly leftOut = new Map<string, string>()

  /** Begins a family; it is told of even if no series comes. */
  family(name: string, type: Type, help: string): Block {
    const block: Block = { name, type, help, series: new Map() }
    this.blocks.set(name, block)
    return block
  }

  /** Adds a series of a family that has begun. */
  sample(name: string, labels: ReadonlyArray<Label>, value: number): void {
    const text = labelText(labels)
    this.blocks.get(name)!.series.set(text, [`${name}${text} ${show(value)}`])
  }

  /** Adds a series of Effect's, and its family where there is none. */
  pair({ metricKey: key, metricState: state }: MetricPair.MetricPair.Untyped): void {
    const type = typeOf(key)
    const name = nameOf(key, type)
    const block = this.blocks.get(name) ??
      this.family(name, type, Option.getOrElse(key.description, () => `The metric ${key.name}, without a description.`))
    if (block.type !== type && block.type !== "untyped") {
      this.leftOut.set(key.name, `${type} ${key.name} is left out: ${name} is a ${block.type}`)
      return
    }
    if (MetricState.isFrequencyState(state)) {
      const labels = fitLabels(key.tags, ["key"])
      for (const [word, count] of state.occurrences) {
        this.add(block, [...labels, ["key", word]], (text) => [`${name}${text} ${show(count)}`])
      }
    } else if (MetricState.isHistogramState(state)) {
      const labels = fitLabels(key.tags, ["le"])
      this.add(block, labels, (text) => [
        ...[...state.buckets].filter(([bound]) => bound !== Infinity).map(([bound, count]) =>
          `${name}_bucket${labelText([...labels, ["le", show(bound)]])} ${count}`
        ),
        `${name}_bucket${labelText([...labels, ["le", "+Inf"]])} ${state.count}`,
        `${name}_sum${text} ${show(state.sum)}`,
        `${name}_count${text} ${state.count}`
      ])
    } else if (MetricState.isSummaryState(state)) {
      const labels = fitLabels(key.tags, ["quantile"])
      this.add(block, labels, (text) => [
        ...state.quantiles.map(([quantile, value]) =>
          `${name}${labelText([...labels, ["quantile", String(quantile)]])} ${show(Option.getOrElse(value, () => NaN))}`
        ),
        `${name}_sum${text} ${show(state.sum)}`,
        `${name}_count${text} ${state.count}`
      ])
    } else {
      const value = MetricState.isGaugeState(state)
        ? state.value
        : (state as MetricState.MetricState.Counter<number>).count
      this.add(block, fitLabels(key.tags, []), (text) => [`${name}${text} ${show(value)}`])
    }
  }

  /** Two metrics that differ in nothing but their description are one series here: the first is told. */
  private add(block: Block, labels: ReadonlyArray<Label>, lines: (text: string) => ReadonlyArray<string>): void {
    const text = labelText(labels)
    if (!block.series.has(text)) {
      block.series.set(text, lines(text))
    }
  }

  text(): string {
    const lines: Array<string> = []
    for (const { help, name, series, type } of this.blocks.values()) {
      lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`)
      for (const text of [...series.keys()].sort()) {
        lines.push(...series.get(text)!)
      }
    }
    for (const because of this.leftOut.values()) {
      lines.push(`# ${escapeHelp(because)}`)
    }
    return `${lines.join("\n")}\n`
  }
}
