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
import { wellFormed } from "./services.js"

type Type = "counter" | "gauge" | "histogram" | "summary" | "untyped"

type Label = readonly [name: string, value: string]

/** Of a histogram or a summary: the lines above its sum and its count, by the label that tells them apart. */
interface Distribution {
  readonly parts: ReadonlyArray<readonly [label: string, value: number]>
  readonly sum: number
  readonly count: number
}

interface Series {
  readonly labels: ReadonlyArray<Label>
  readonly value: number | Distribution
}

interface Block {
  readonly name: string
  readonly type: Type
  readonly help: string
  /** By their labels, so that no series can be there twice. */
  readonly series: Map<string, Series>
  /** What the metric is called in the program: another one that only reads alike here is not this one. */
  readonly source: string
  /** Which label of the program has a name here. */
  readonly labels: Map<string, string>
  /** It is one of `MetricFamilies`. */
  readonly own: boolean
}

const escapeHelp = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")

const escapeValue = (text: string): string => escapeHelp(text).replace(/"/g, "\\\"")

/** Colons are for recording rules. */
const fit = (name: string): string => name.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=[0-9]|$)/, "_")

/** Names that begin with two underscores are Prometheus's own. */
const fitLabel = (name: string): string => fit(name).replace(/^__+/, "_")

const show = (value: number): string => value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

const labelText = (labels: ReadonlyArray<Label>): string =>
  labels.length === 0 ? "" : `{${labels.map(([name, value]) => `${name}="${escapeValue(value)}"`).join(",")}}`

/** The name of a label, of which no other label of the family has it. */
const labelName = ({ labels }: Block, key: string, reserved: string | undefined): string => {
  const fitted = fitLabel(key)
  let name = fitted === reserved ? `label_${fitted}` : fitted
  for (let count = 2; (labels.get(name) ?? key) !== key; count++) {
    name = `${fitted}_${count}`
  }
  labels.set(name, key)
  return name
}

/** Of labels with one name the last counts. Values of families of ours are made to fit already. */
const fitLabels = (block: Block, tags: ReadonlyArray<MetricLabel.MetricLabel>, reserved?: string): Array<Label> => {
  const labels = new Map<string, string>()
  for (const { key, value } of tags) {
    labels.set(labelName(block, key, reserved), block.own ? value : wellFormed(value))
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

/** Only the label of its parts tells the kinds apart. */
const partLabel = { histogram: "le", summary: "quantile" } as const

const distributionOf = (
  state: MetricState.MetricState.Histogram | MetricState.MetricState.Summary
): Distribution => ({
  parts: MetricState.isHistogramState(state)
    ? [
      ...[...state.buckets].filter(([bound]) => bound !== Infinity).map(([bound, count]) =>
        [show(bound), count] as const
      ),
      ["+Inf", state.count]
    ]
    : state.quantiles.map(([quantile, value]) => [show(quantile), Option.getOrElse(value, () => NaN)]),
  sum: state.sum,
  count: state.count
})

/**
 * Effect keeps metrics apart that only differ in their description, and histograms whose bounds are equal but not the same array. Here
 * they are one: what was counted in two places is added up, and of two readings the later counts.
 */
const combine = (type: Type, one: Series["value"], two: Series["value"]): Series["value"] => {
  if (typeof one === "number" || typeof two === "number") {
    return type === "counter" && typeof one === "number" && typeof two === "number" ? one + two : two
  }
  const alike = one.parts.length === two.parts.length &&
    one.parts.every(([label], place) => label === two.parts[place]![0])
  return type === "histogram" && alike
    ? {
      parts: one.parts.map(([label, value], place) => [label, value + two.parts[place]![1]]),
      sum: one.sum + two.sum,
      count: one.count + two.count
    }
    : one
}

const linesOf = (name: string, type: Type, { labels, value }: Series): ReadonlyArray<string> => {
  const text = labelText(labels)
  if (typeof value === "number") {
    return [`${name}${text} ${show(value)}`]
  }
  const [suffix, label] = type === "histogram" ? ["_bucket", partLabel.histogram] : ["", partLabel.summary]
  const parts = value.parts.map(([part, count]) =>
    `${name}${suffix}${labelText([...labels, [label, part]])} ${show(count)}`
  )
  return [...parts, `${name}_sum${text} ${show(value.sum)}`, `${name}_count${text} ${value.count}`]
}

/** What the lines of a family are called: nothing else may be. */
const lineNames = (name: string, type: Type): ReadonlyArray<string> =>
  type === "histogram" || type === "summary"
    ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]
    : [name]

/** @internal */
export class Exposition {
  private readonly blocks = new Map<string, Block>()
  /** Whose lines have a name. */
  private readonly taken = new Map<string, Block>()
  private readonly leftOut = new Set<string>()

  /** Begins a family of ours; it is told of even if no series comes. */
  family(name: string, type: Type, help: string): void {
    this.begin(name, type, help, name, true)
  }

  private begin(name: string, type: Type, help: string, source: string, own: boolean): Block {
    const block: Block = { name, type, help, series: new Map(), source, labels: new Map(), own }
    this.blocks.set(name, block)
    lineNames(name, type).forEach((line) => this.taken.set(line, block))
    return block
  }

  /** Sets a series of a family that has begun. */
  sample(name: string, labels: ReadonlyArray<Label>, value: number): void {
    this.blocks.get(name)!.series.set(labelText(labels), { labels, value })
  }

  /** Adds a series of Effect's, and its family where there is none. */
  pair({ metricKey: key, metricState: state }: MetricPair.MetricPair.Untyped): void {
    const type = typeOf(key)
    const name = nameOf(key, type)
    const known = this.blocks.get(name)
    const clash = known === undefined ? lineNames(name, type).find((line) => this.taken.has(line)) : undefined
    if (clash !== undefined) {
      const { name: other, type: otherType } = this.taken.get(clash)!
      this.leftOut.add(`The ${type} ${key.name} is left out: ${clash} belongs to the ${otherType} ${other}.`)
      return
    }
    const block = known ??
      this.begin(
        name,
        type,
        Option.getOrElse(key.description, () => `The metric ${key.name}, without a description.`),
        key.name,
        false
      )
    if (block.type !== type && block.type !== "untyped") {
      this.leftOut.add(`The ${type} ${key.name} is left out: ${name} is a ${block.type}.`)
      return
    }
    if (block.source !== key.name) {
      this.leftOut.add(`The ${type} ${key.name} is left out: ${name} is the name of ${block.source}.`)
      return
    }
    if (MetricState.isFrequencyState(state)) {
      const labels = fitLabels(block, key.tags, "key")
      for (const [word, count] of state.occurrences) {
        this.add(block, [...labels, ["key", wellFormed(word)]], count)
      }
    } else if (type === "histogram" || type === "summary") {
      this.add(
        block,
        fitLabels(block, key.tags, partLabel[type]),
        distributionOf(state as MetricState.MetricState.Histogram)
      )
    } else {
      // A `bigint` beyond 2^53 loses its last digits here, as it does in Prometheus.
      const value = MetricState.isGaugeState(state)
        ? state.value
        : (state as MetricState.MetricState.Counter<number>).count
      this.add(block, fitLabels(block, key.tags), Number(value))
    }
  }

  private add(block: Block, labels: ReadonlyArray<Label>, value: Series["value"]): void {
    const text = labelText(labels)
    const known = block.series.get(text)
    block.series.set(text, { labels, value: known === undefined ? value : combine(block.type, known.value, value) })
  }

  text(): string {
    const lines: Array<string> = []
    for (const { help, name, series, type } of this.blocks.values()) {
      lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`)
      for (const text of [...series.keys()].sort()) {
        lines.push(...linesOf(name, type, series.get(text)!))
      }
    }
    for (const because of this.leftOut) {
      lines.push(`# ${escapeHelp(because)}`)
    }
    return `${lines.join("\n")}\n`
  }
}
