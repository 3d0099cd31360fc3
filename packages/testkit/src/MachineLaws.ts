/**
 * Runs random histories of actions against a machine and its model, checks an invariant after each step, and refuses a
 * generator that leaves an edge of the machine untaken.
 *
 * @since 0.1.0
 */
import * as fc from "effect/FastCheck"

/**
 * Tells that an edge was taken, by the name it has in `edges`.
 *
 * @since 0.1.0
 * @category models
 */
export type Edge = (name: string) => void

/**
 * @since 0.1.0
 * @category models
 */
export interface Action<Machine, Model, Argument> {
  /** How often it is chosen, against the weights of the others. Default 1. */
  readonly weight?: number
  /** What the action is given. Default nothing (`undefined`). */
  readonly argument?: fc.Arbitrary<Argument>
  /** Acts on both and compares their answers; throws where they differ. */
  readonly run: (machine: Machine, model: Model, argument: Argument, edge: Edge) => void
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<Machine, Model, Arguments extends Record<string, unknown>> {
  /** A fresh machine and its model, for each history. */
  readonly make: () => { readonly machine: Machine; readonly model: Model }
  readonly actions: { readonly [Name in keyof Arguments]: Action<Machine, Model, Arguments[Name]> }
  /** Must hold after each step and before the first: throws, or returns complaints. */
  readonly invariant?: (machine: Machine, model: Model) => string | ReadonlyArray<string> | void
  /** Every edge that the histories must take, such as `Closed>Open`. */
  readonly edges: ReadonlyArray<string>
  /** How often each edge must be taken, in all histories together. Default 20. */
  readonly minimumPerEdge?: number
  /** How many histories are run. Default 200. */
  readonly runs?: number
  /** The longest history, in steps. Default 60. */
  readonly length?: number
  /** Default 1: a run is the same each time. */
  readonly seed?: number
}

/**
 * What the histories did.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report {
  readonly runs: number
  readonly steps: number
  /** How often each edge was taken. */
  readonly edges: Readonly<Record<string, number>>
}

/**
 * Edges were taken too seldom: the histories passed, but prove little. Give more weight to the actions that lead there.
 *
 * @example
 * import * as MachineLaws from "@holdfast/testkit/MachineLaws"
 *
 * try {
 *   MachineLaws.histories({
 *     make: () => ({ machine: {}, model: {} }),
 *     actions: { act: { run: () => {} } },
 *     edges: ["Closed>Open"]
 *   })
 * } catch (error) {
 *   console.log(error instanceof MachineLaws.EdgesTooSeldom && error.edges) // ["Closed>Open"]
 * }
 *
 * @since 0.1.0
 * @category errors
 */
export class EdgesTooSeldom extends Error {
  readonly _tag = "EdgesTooSeldom"
  override readonly name = "EdgesTooSeldom"
  readonly edges: ReadonlyArray<string>

  constructor(edges: ReadonlyArray<string>, message: string) {
    super(message)
    this.edges = edges
  }
}

/**
 * Runs the histories. A failing history is made as short as possible and thrown with its seed and path; an edge taken
 * too seldom throws `EdgesTooSeldom`.
 *
 * @example
 * import * as MachineLaws from "@holdfast/testkit/MachineLaws"
 * import * as FastCheck from "effect/FastCheck"
 *
 * MachineLaws.histories({
 *   make: () => ({ machine: { free: 2 }, model: { held: 0 } }),
 *   actions: {
 *     take: {
 *       argument: FastCheck.integer({ min: 1, max: 2 }),
 *       run: (machine, model, wanted, edge) => {
 *         if (machine.free < wanted) return edge("full")
 *         machine.free -= wanted
 *         model.held += wanted
 *         edge("taken")
 *       }
 *     }
 *   },
 *   invariant: (machine, model) => machine.free + model.held === 2 ? [] : "a permit is lost",
 *   edges: ["taken", "full"]
 * })
 *
 * @since 0.1.0
 * @category constructors
 */
export const histories = <Machine, Model, Arguments extends Record<string, unknown>>(
  options: Options<Machine, Model, Arguments>
): Report => {
  const counts = new Map(options.edges.map((edge) => [edge, 0]))
  let steps = 0
  let runs = 0
  const edge: Edge = (name) => {
    const count = counts.get(name)
    if (count === undefined) throw new Error(`the edge ${name} is not one of: ${options.edges.join(", ")}`)
    counts.set(name, count + 1)
  }
  const names: ReadonlyArray<keyof Arguments & string> = Object.keys(options.actions)
  const step = fc.oneof(
    ...names.map((name) => {
      const action = options.actions[name]
      return {
        weight: action.weight ?? 1,
        arbitrary: fc.record({
          action: fc.constant(name),
          argument: action.argument ?? fc.constant(undefined as Arguments[typeof name])
        })
      }
    })
  )
  const holds = (machine: Machine, model: Model, when: string) => {
    const found = options.invariant?.(machine, model)
    const complaints = found === undefined || found === "" ? [] : typeof found === "string" ? [found] : found
    if (complaints.length > 0) throw new Error(`${when}: ${complaints.join("; ")}`)
  }
  fc.assert(
    fc.property(fc.array(step, { maxLength: options.length ?? 60, size: "max" }), (history) => {
      const { machine, model } = options.make()
      runs++
      holds(machine, model, "before the first step")
      history.forEach(({ action, argument }, index) => {
        steps++
        options.actions[action]!.run(machine, model, argument, edge)
        holds(machine, model, `after step ${index + 1}, ${action}`)
      })
    }),
    { numRuns: options.runs ?? 200, seed: options.seed ?? 1 }
  )
  const minimum = options.minimumPerEdge ?? 20
  const seldom = Array.from(counts).filter(([, count]) => count < minimum)
  if (seldom.length > 0) {
    throw new EdgesTooSeldom(
      seldom.map(([name]) => name),
      `edges taken less than ${minimum} times in ${runs} histories of ${steps} steps: ` +
        seldom.map(([name, count]) => `${name} (${count})`).join(", ")
    )
  }
  return { runs, steps, edges: Object.fromEntries(counts) }
}
