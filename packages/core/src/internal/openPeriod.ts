/**
 * How long a circuit breaker stays open: growth with failed probes, jitter, what the dependency asked for, and the cap on all of them.
 *
 * @since 0.1.0
 */

interface Numbers {
  readonly openMillis: (failedProbes: number) => number
  readonly openJitter: number
  readonly maxOpenMillis: number
}

/**
 * Milliseconds. `draw` (0 to 1) is called only where there is jitter.
 *
 * @since 0.1.0
 * @category combinators
 */
export const openPeriod = (
  { maxOpenMillis, openJitter, openMillis }: Numbers,
  failedProbes: number,
  draw: () => number,
  asked: number | undefined
): number => {
  const grown = Math.max(0, openMillis(failedProbes))
  // Growth may overflow to something that is no number; and jitter on what is capped already still spreads callers.
  const capped = grown < maxOpenMillis ? grown : maxOpenMillis
  const spread = openJitter > 0 ? capped * (1 + openJitter * (2 * draw() - 1)) : capped
  return Math.min(asked !== undefined && asked > spread ? asked : spread, maxOpenMillis)
}
