/**
 * The eight ways in which services are known to fall, each with the figures that prove it.
 */
import { tripWords } from "./explainWords.js"
import type { BulkheadFigures, CircuitFigures, FallbackFigures, OperationFigures } from "./figuresModel.js"
import { fitting, spelled } from "./lintRules.js"
import { about, aboutPercent, time } from "./worstCase.js"

/**
 * What one row is asked about.
 *
 * @internal
 */
export interface Subject {
  readonly at: number
  readonly slowerThanMillis: number
  readonly dependencies: ReadonlyArray<{
    readonly dependency: string
    readonly operations: ReadonlyArray<OperationFigures>
    readonly circuits: ReadonlyArray<CircuitFigures>
    readonly limited: boolean | undefined
    readonly live:
      | {
        readonly bulkhead:
          | { readonly on: boolean; readonly active: number; readonly maxConcurrent: number }
          | undefined
      }
      | undefined
  }>
  readonly bulkheads: ReadonlyArray<BulkheadFigures>
  readonly fallbacks: ReadonlyArray<FallbackFigures>
  /** Not the service itself, which is told apart only where it runs out of places. */
  readonly isDependency: (name: string) => boolean
  readonly slaMillis: (dependency: string) => number
  readonly sustainedMillis: number
  readonly blipMillis: number
}

/** @internal */
export interface Found {
  readonly at: string
  readonly because: string
  readonly instead: string
}

/** @internal */
export interface Row {
  readonly code: string
  readonly symptom: string
  readonly cause: string
  readonly pattern: string
  readonly check: (subject: Subject) => ReadonlyArray<Found>
}

/** Fewer calls than this prove nothing. */
const fewest = 10

const placeOf = ({ dependency, operation }: { readonly dependency: string; readonly operation: string | undefined }) =>
  operation === undefined ? dependency : `${dependency} ${operation}`

const sum = (counts: { readonly [key: string]: number }): number => Object.values(counts).reduce((a, b) => a + b, 0)

/** Calls whose end says something about the dependency. */
const ended = ({ calls }: OperationFigures): number => sum(calls) - calls.Rejected - calls.Interrupted

const failures = ({ calls }: OperationFigures): number => calls.Retryable + calls.Unclassified

const each = (
  subject: Subject,
  check: (operation: OperationFigures, dependency: Subject["dependencies"][number]) => Omit<Found, "at"> | undefined
): ReadonlyArray<Found> =>
  subject.dependencies.flatMap((dependency) =>
    dependency.operations.flatMap((operation) => {
      const found = check(operation, dependency)
      return found === undefined ? [] : [{ at: placeOf(operation), ...found }]
    })
  )

/** The same without what comes in to the service itself. */
const eachCall: typeof each = (subject, check) =>
  each(
    subject,
    (operation, dependency) => subject.isDependency(operation.dependency) ? check(operation, dependency) : undefined
  )

/** Callers that wait at once, below which nobody runs out of workers. */
const crowd = 5

const noTimeout: Row["check"] = (subject) => [
  ...each(subject, (operation) => {
    const { callLatency, latency, slow } = operation
    if (slow === undefined || slow.calls < fewest) {
      return undefined
    }
    const atOnce = slow.millis / (slow.until - slow.from)
    return atOnce < crowd ? undefined : {
      because:
        `${slow.calls} calls took ${time(subject.slowerThanMillis)} or longer, the longest ${
          about(callLatency.maxMillis ?? 0)
        }, and nothing ` +
        `would have ended them: they kept their callers for ${about(slow.millis)} of waiting in ${
          about(slow.until - slow.from)
        }, ` +
        `${Math.round(atOnce)} of them at once on average`,
      instead:
        "an attempt timeout, twice the 99th percentile of its good days and at most 2 to 5 s where a user waits" +
        (latency.p50Millis === undefined || latency.p50Millis >= subject.slowerThanMillis
          ? ""
          : ` (half of all answers so far came within ${about(latency.p50Millis)})`)
    }
  }),
  ...subject.dependencies.flatMap(({ dependency, limited, live, operations }): ReadonlyArray<Found> => {
    const bulkhead = live?.bulkhead
    const refused = operations.reduce((total, { rejections }) => total + rejections.bulkhead, 0)
    const last = Math.max(...operations.map(({ lastEndedAt }) => lastEndedAt ?? -Infinity))
    const stuck = bulkhead?.on === true && bulkhead.active >= bulkhead.maxConcurrent && refused >= fewest &&
      subject.at - last >= subject.slowerThanMillis && limited === false
    return !stuck ? [] : [{
      at: dependency,
      because: `all ${bulkhead.maxConcurrent} places are taken, ${refused} calls were refused, ` +
        (last === -Infinity
          ? "none that was let in has ended"
          : `none that was let in has ended for ${about(subject.at - last)}`) +
        ", and nothing will end them",
      instead: "an attempt timeout: what hangs would be given up, and its place would be free again"
    }]
  })
]

const noRetry: Row["check"] = (subject) =>
  eachCall(subject, (operation) => {
    const { blips, calls, givenUp, retries } = operation
    const failed = failures(operation)
    const share = failed / ended(operation)
    if (retries > 0 || failed < fewest || share > 0.2 || blips.count < 3 || blips.longestMillis > subject.blipMillis) {
      return undefined
    }
    return {
      because: `${failed} of ${ended(operation)} calls failed (${aboutPercent(share)}), ` +
        (blips.longestMillis === 0
          ? "no two in a row"
          : `in ${blips.count} blips of which the longest lasted ${about(blips.longestMillis)}`) +
        "; none was tried again, and another try would have worked",
      instead: givenUp.notRepeatable > 0
        ? "an idempotency key, so that a call may be made twice (repeatable: true); then a retry"
        : calls.Unclassified > calls.Retryable
        ? "Failure.byTag: nobody said that these errors may be cured by another try; then one or two retries"
        : "one or two retries with Backoff.exponential and full jitter"
    }
  })

const noBreaker: Row["check"] = (subject) =>
  eachCall(subject, (operation, { circuits }) => {
    const { attempts, calls, failing, rejections } = operation
    const opened = circuits.some(({ reopened, trips }) => trips + reopened > 0)
    if (
      failing === undefined || failing.calls < fewest || failing.until - failing.from < subject.sustainedMillis ||
      opened || rejections.circuit > 0
    ) {
      return undefined
    }
    const perCall = sum(attempts) / Math.max(1, sum(calls) - calls.Rejected)
    return {
      because:
        `for ${
          about(failing.until - failing.from)
        } nearly every call failed, and every one was sent: ${failing.calls} calls ` +
        (perCall >= 1.5 ? `of ${Number(perCall.toPrecision(2))} attempts each ` : "") +
        `kept their callers for ${about(failing.millis)} of waiting; no circuit opened`,
      instead: "a circuit breaker: open after 5 to 10 failures, and one probe in 15 to 60 s, or one whose threshold " +
        "this traffic can reach"
    }
  })

const sharedPool: Row["check"] = ({ bulkheads, dependencies }) => {
  const all = dependencies.flatMap(({ operations }) => operations)
  return bulkheads.flatMap(({ bulkhead, maxConcurrent, operations: refused }) => {
    const sharing = all.filter(({ dependency }) => refused.some((one) => one.dependency === dependency))
    const held = sharing.reduce((total, { callMillis }) => total + callMillis, 0)
    const hog = [...sharing].sort((a, b) => b.callMillis - a.callMillis)[0]
    const hogMean = hog?.callLatency.meanMillis
    if (hog === undefined || hogMean === undefined || hog.callMillis < held / 2) {
      return []
    }
    return refused.flatMap(({ dependency, operation, rejected }): ReadonlyArray<Found> => {
      const victim = sharing.find((one) => one.dependency === dependency && one.operation === operation)
      const mean = victim?.callLatency.meanMillis
      return victim === undefined || victim === hog || mean === undefined || rejected < fewest || mean * 5 > hogMean
        ? []
        : [{
          at: placeOf(victim),
          because:
            `it was refused ${rejected} times by ${bulkhead} (${maxConcurrent} places), though its own calls take ${
              about(mean)
            }: ${placeOf(hog)}, whose calls take ${about(hogMean)}, holds ${
              aboutPercent(hog.callMillis / held)
            } of the pool`,
          instead: `a bulkhead of its own for ${placeOf(hog)}, at most half of these places`
        }]
    })
  })
}

const noFallback: Row["check"] = ({ dependencies, fallbacks, isDependency }) => {
  const served = ({ tiers }: FallbackFigures) => tiers.some((tier) => tier.served > 0)
  // A fallback that says of nobody whom it stands in for may stand in for any of them.
  if (fallbacks.some((one) => one.dependency === undefined && served(one))) {
    return []
  }
  return dependencies.filter(({ dependency }) => isDependency(dependency)).flatMap(
    ({ dependency, operations }): ReadonlyArray<Found> => {
      const failed = operations.reduce((total, one) => total + one.failed.important, 0)
      const calls = operations.reduce((total, one) => total + sum(one.calls) - one.calls.Interrupted, 0)
      return failed < fewest || failed < calls / 100 ||
          fallbacks.some((one) => one.dependency === dependency && served(one))
        ? []
        : [{
          at: dependency,
          because: `${failed} of ${calls} calls ended in an error (${
            aboutPercent(failed / calls)
          }), and no fallback answered`,
          instead: "a Fallback outside the policy: the last good answer, a default, or a clear notice; criticality " +
            "\"critical\" for what must fail loudly"
        }]
    }
  )
}

/** Retries within a twentieth of a second that make a wave. */
const wave = 20

const noJitter: Row["check"] = (subject) =>
  eachCall(subject, (operation) => {
    const { attempts, calls, delays, herd } = operation
    const fixed = delays.findIndex(({ count, longestMillis, shortestMillis }) =>
      count >= wave && longestMillis > 0 && longestMillis - shortestMillis <= longestMillis / 100
    )
    return herd < wave || fixed < 0 ? undefined : {
      because:
        `${herd} retries fell due within one twentieth of a second, because everybody waits ${
          about(delays[fixed]!.longestMillis)
        } ` +
        `before retry ${fixed + 1}; ${sum(calls) - calls.Rejected} calls became ${sum(attempts)} requests`,
      instead: "Backoff with jitter: \"full\" (the default), and a RetryBudget"
    }
  })

const retriesCounted: Row["check"] = ({ dependencies }) =>
  dependencies.flatMap(({ circuits, operations }) =>
    circuits.flatMap(({ breaker, narrowest }): ReadonlyArray<Found> => {
      if (
        narrowest === undefined || narrowest.trip.policy._tag === "SlowCallRate" || narrowest.requests === 0 ||
        narrowest.trip.counted < narrowest.requests * 1.5
      ) {
        return []
      }
      const { requests, trip } = narrowest
      const attempts = Math.max(...operations.map(({ maxAttempts }) => maxAttempts))
      return [{
        at: breaker,
        because: `it opened at ${trip.counted} failures (${tripWords(trip.policy)}), and behind them ${
          requests === 1 ? "was 1 request, which" : `were ${requests} requests: each`
        } made up to ${attempts} attempts, and every attempt was counted`,
        instead: "the breaker outside the retry (scope \"call\"), where a call is one sample however often it is tried"
      }]
    })
  )

const beyondPromise: Row["check"] = (subject) =>
  eachCall(subject, (operation) => {
    const { delays, failed, failedLatency, limits, maxAttempts } = operation
    const sla = subject.slaMillis(operation.dependency)
    const { maxMillis, p50Millis, samples } = failedLatency
    // The histogram may read 3 % too much.
    if (
      maxAttempts < 2 || samples < fewest / 2 || p50Millis === undefined || p50Millis <= sla * 1.05 ||
      failed.critical + failed.important === 0
    ) {
      return undefined
    }
    const plan = limits.attemptMillis === undefined ? undefined : {
      retries: maxAttempts - 1,
      inside: limits.attemptMillis,
      delay: (retry: number) => delays[Math.min(retry, delays.length - 1)]?.longestMillis ?? 0
    }
    return {
      because:
        `half of the ${samples} calls that failed took ${about(p50Millis)} or longer to say so, the longest ${
          about(maxMillis!)
        }, and ${time(sla)} are promised` + (plan === undefined ? "" : `: ${spelled(plan)}`),
      instead: plan === undefined ? `a total timeout of ${time(sla)} at most` : fitting(plan, sla)
    }
  })

/** @internal */
export const rows: ReadonlyArray<Row> = [
  {
    code: "no-timeout",
    symptom: "Workers run out, and every request queues",
    cause: "A dependency is slow, not down, and nothing bounds the wait for it",
    pattern: "Timeout",
    check: noTimeout
  },
  {
    code: "no-retry",
    symptom: "A request fails, and works when it is made again",
    cause: "Errors that pass by themselves, and nobody tries again",
    pattern: "Retry with a backoff",
    check: noRetry
  },
  {
    code: "no-circuit-breaker",
    symptom: "Errors for minutes on end",
    cause: "A dependency is down, and every request is spent on it",
    pattern: "Circuit breaker",
    check: noBreaker
  },
  {
    code: "shared-pool",
    symptom: "One slow dependency takes down what does not need it",
    cause: "They share one pool, and one of them holds it",
    pattern: "Bulkhead",
    check: sharedPool
  },
  {
    code: "no-fallback",
    symptom: "Users see blank pages and errors",
    cause: "All or nothing: there is no degraded answer",
    pattern: "Fallback",
    check: noFallback
  },
  {
    code: "no-jitter",
    symptom: "Retries make the outage worse",
    cause: "All clients come back in the same instant",
    pattern: "Jitter",
    check: noJitter
  },
  {
    code: "retries-counted",
    symptom: "The circuit opens after two requests",
    cause: "Retries are counted as failures of their own",
    pattern: "The circuit breaker outside the retry",
    check: retriesCounted
  },
  {
    code: "beyond-promise",
    symptom: "A user waits half a minute for an error",
    cause: "Attempts and delays together are longer than what was promised",
    pattern: "A latency budget: attempts x timeout + delays within the promise",
    check: beyondPromise
  }
]
