/**
 * The rules of lint that need to know what lies around a policy: the promise to the user, pools, callers, health checks.
 */
import { fitting, found, ofKind, type Rule, shortest } from "./lintRules.js"
import { time } from "./worstCase.js"

/** @internal */
export const contextRules: ReadonlyArray<Rule> = [
  {
    code: "worst-case-beyond-sla",
    severity: "error",
    title: "The worst case is longer than what the user was promised",
    why:
      "Attempts x attempt timeout + the delays between them is what a user waits for an error when the dependency is down.",
    check: ({ latency, retries, steps, told }) => {
      if (told.sla === undefined || steps.length === 0 || latency <= told.sla - told.overhead) {
        return []
      }
      const available = told.sla - told.overhead
      const promise = `${time(told.sla)}${told.overhead > 0 ? ` less ${time(told.overhead)} of overhead` : ""}`
      const retry = retries[0]
      const reckonable = retry !== undefined && retries.length === 1 && retry.delay !== undefined &&
        retry.inside < Infinity
      return found(
        retry ?? steps[0]!,
        latency === Infinity
          ? `nothing limits the call, and ${promise} are promised`
          : `the worst case is ${time(latency)}, and ${promise} are promised`,
        reckonable ? fitting(retry, available) : `a total timeout of ${time(Math.max(0, available))} at most`
      )
    }
  },
  {
    code: "bulkhead-larger-than-pool",
    severity: "error",
    title: "The bulkhead lets in more calls than the pool has connections",
    why: "The rest wait in the pool, where no bulkhead counts them, and their timeouts run while nothing is sent.",
    check: (subject) => {
      const pool = subject.told.pool
      return ofKind(subject, "Bulkhead").flatMap((bulkhead) => {
        const calls: number = bulkhead.settings.maxConcurrent
        return pool === undefined || calls <= pool.size ? [] : found(
          bulkhead,
          `${calls} calls may run and the pool has ${pool.size} connections: ${
            calls - pool.size
          } wait inside the bulkhead, unseen` +
            (pool.maxWait === undefined ? "" : `, up to ${time(pool.maxWait)} each`),
          `a pool of at least ${calls} connections, or maxConcurrent ${pool.size}`
        )
      })
    }
  },
  {
    code: "pool-wait-not-shorter",
    severity: "warning",
    title: "The pool waits as long as what stands around it",
    why: "A pool that is empty then looks like a dependency that is slow: it should answer first, and say so.",
    check: (subject) => {
      const wait = subject.told.pool?.maxWait
      if (wait === undefined) {
        return []
      }
      const bulkheads = ofKind(subject, "Bulkhead")
        .filter(({ settings }) =>
          settings.maxQueue > 0 && settings.maxWaitMillis < Infinity && wait >= settings.maxWaitMillis
        )
        .flatMap((bulkhead) =>
          found(
            bulkhead,
            `the pool lets a call wait ${time(wait)}, the bulkhead only ${time(bulkhead.settings.maxWaitMillis)}`,
            `a pool wait below ${time(bulkhead.settings.maxWaitMillis)}`
          )
        )
      const limit = shortest(ofKind(subject, "Timeout"))
      return limit === undefined || wait < limit.settings.limitMillis ? bulkheads : [
        ...bulkheads,
        ...found(
          limit,
          `the pool lets a call wait ${time(wait)}, and this timeout rings after ${
            time(limit.settings.limitMillis)
          }: an empty pool ` +
            "counts as a failure of the dependency",
          `a pool wait well below ${time(limit.settings.limitMillis)}`
        )
      ]
    }
  },
  {
    code: "health-depends-on-dependency",
    severity: "error",
    title: "A health check that depends on a dependency",
    why: "When the dependency is down every instance calls itself ill, and the load balancer takes them all out.",
    check: ({ steps, told }) => {
      const name = steps.find(({ step }) => step.dependency !== undefined)?.step.dependency
      return told.health === undefined || name === undefined || !told.health.dependsOn.includes(name) ? [] : [{
        at: name,
        because: `while ${name} is down ${
          told.health.instances === undefined ? "every instance fails" : `all ${told.health.instances} instances fail`
        } its health check and is taken out, and with it all that does not need ${name}`,
        instead:
          "a health check of the process alone; the state of dependencies on an endpoint of its own that no load balancer reads"
      }]
    }
  },
  {
    code: "caller-gives-up-first",
    severity: "warning",
    title: "The caller gives up before this policy does",
    why: "What is still tried after that is work for nobody, and the caller may come again meanwhile.",
    check: ({ latency, steps, told }) =>
      told.callerTimeout === undefined || steps.length === 0 || latency + told.overhead < told.callerTimeout ?
        [] :
        found(
          steps[0]!,
          `the caller waits ${time(told.callerTimeout)}, and this may take ${
            latency === Infinity ? "for ever" : time(latency + told.overhead)
          }`,
          `a total timeout below ${time(told.callerTimeout - told.overhead)}, or a caller that waits longer`
        )
  },
  {
    code: "downstream-timeout-not-shorter",
    severity: "warning",
    title: "The dependency works longer than anyone waits for it",
    why: "Its own timeout should be the shorter one: else it goes on with what has been given up.",
    check: (subject) => {
      const limit = shortest(ofKind(subject, "Timeout"))
      const downstream = subject.told.downstreamTimeout
      return downstream === undefined || limit === undefined || downstream < limit.settings.limitMillis ? [] : found(
        limit,
        `it gives up after ${time(limit.settings.limitMillis)}, and the dependency works on until ${time(downstream)}`,
        `a timeout of the dependency below ${time(limit.settings.limitMillis)}, or a longer one here`
      )
    }
  },
  {
    code: "bulkhead-takes-the-process",
    severity: "warning",
    title: "One bulkhead holds most of the process",
    why: "A bulkhead that lets one dependency take nearly everything limits nothing.",
    check: (subject) => {
      const capacity = subject.told.processCapacity
      return ofKind(subject, "Bulkhead").filter(({ settings }) =>
        capacity !== undefined && settings.maxConcurrent * 2 > capacity
      )
        .flatMap((bulkhead) =>
          found(
            bulkhead,
            `${bulkhead.settings.maxConcurrent} of ${capacity} calls that the process can serve at once, ${
              Math.round((bulkhead.settings.maxConcurrent / capacity!) * 100)
            } %`,
            `at most half, ${Math.floor(capacity! / 2)}; measure what it needs: calls per second x seconds per call`
          )
        )
    }
  },
  {
    code: "timeout-cuts-good-calls",
    severity: "warning",
    title: "A timeout within the measured latency",
    why: "Calls that would have succeeded are cut, and the dependency may have done the work.",
    check: (subject) => {
      const limit = shortest(ofKind(subject, "Timeout"))
      const p99 = subject.told.p99
      return p99 === undefined || limit === undefined || limit.settings.limitMillis > p99 ? [] : found(
        limit,
        `one good call in a hundred takes ${time(p99)} or longer, and ${time(limit.settings.limitMillis)} cuts it`,
        `twice the 99th percentile: ${time(2 * p99)}`
      )
    }
  }
]
