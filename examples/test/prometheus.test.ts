import { NodeHttpClient } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
import { Effect, Layer, Logger, type Scope } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { plainClients } from "../src/demo/clients.js"
import { protectedCheckout } from "../src/demo/orderService.js"
import { type ScaledClock, type Scenario, startClock, tuesday } from "../src/demo/scenario.js"
import { startService } from "../src/demo/server.js"
import { startUpstreams } from "../src/demo/upstreams.js"
import { describeWith } from "./peer.js"

const rules = fileURLToPath(new URL("../../packages/metrics/alerts/holdfast.rules.yml", import.meta.url))

/** The demo's own pace, for as long as the test likes; nobody loses patience on a machine that is busy with other tests. */
const scenario: Scenario = { ...tuesday, load: { ...tuesday.load, patience: 600 } }

const get = (url: string): Promise<string> =>
  fetch(url, { signal: AbortSignal.timeout(5000) }).then((response) => response.text())

/** Asks again and again, and says what it heard last if it never hears what it waits for. */
const until = (what: string, ask: () => Promise<unknown>, isThere: (answer: any) => boolean) =>
  Effect.promise(async () => {
    const end = performance.now() + 60_000
    for (let last: unknown;;) {
      last = await ask().catch((error: unknown) => String(error))
      if (isThere(last)) {
        return
      }
      if (performance.now() > end) {
        throw new Error(`${what}: not within a minute; last was ${JSON.stringify(last)}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  })

const freePort = Effect.async<number>((resume) => {
  const server = Net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as Net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

const spawned = (folder: string, port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = ChildProcess.spawn("/usr/bin/prometheus", [
        `--config.file=${folder}/prometheus.yml`,
        `--storage.tsdb.path=${folder}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--log.level=error"
      ], { stdio: "ignore" })
      // A worker that is ended in the middle of a test runs no finalizer.
      const kill = () => child.kill("SIGKILL")
      process.once("exit", kill)
      child.once("exit", () => process.off("exit", kill))
      return child
    }),
    (child) =>
      Effect.async<void>((resume) => {
        if (child.exitCode !== null) {
          return resume(Effect.void)
        }
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  )

/** Prometheus with the rules of `@holdfast/metrics`, scraping one target once a second, in a folder that goes with the scope. */
const prometheus = (target: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function*() {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "holdfast-prometheus-"))),
      (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
    )
    const every = "1s"
    // JSON is YAML.
    Fs.writeFileSync(
      Path.join(folder, "prometheus.yml"),
      JSON.stringify({
        global: { scrape_interval: every, scrape_timeout: every, evaluation_interval: every },
        rule_files: [rules],
        scrape_configs: [{ job_name: "orders", static_configs: [{ targets: [new URL(target).host] }] }]
      })
    )
    // A free port may be gone when the server asks for it: then another one is tried.
    for (let attempt = 0; attempt < 5; attempt++) {
      const port = yield* freePort
      const url = `http://127.0.0.1:${port}`
      const server = yield* spawned(folder, port)
      yield* until("Prometheus is ready", async () => {
        return server.exitCode !== null || (await get(`${url}/-/ready`)).includes("Ready")
      }, (done) => done === true)
      if (server.exitCode === null) {
        return url
      }
    }
    return yield* Effect.dieMessage("Prometheus did not start")
  })

/** The states of the alerts about payment, by their names. */
const alertsAt = (url: string) => async (): Promise<Record<string, string>> => {
  const { data } = JSON.parse(await get(`${url}/api/v1/alerts`))
  return Object.fromEntries(
    data.alerts
      .filter(({ labels }: any) => labels.service === "payment")
      .map(({ labels, state }: any) => [labels.alertname, state])
  )
}

const valueAt = (url: string, query: string) => async (): Promise<string | undefined> => {
  const { data } = JSON.parse(await get(`${url}/api/v1/query?query=${encodeURIComponent(query)}`))
  return data.result[0]?.value[1]
}

describeWith("/usr/bin/prometheus", "Prometheus at the order service of the demo", () => {
  it.live(
    "scrapes it; the circuit's alert fires when payment turns slow, and is resolved when payment is well again",
    () =>
      Effect.gen(function*() {
        // Not the clock but the test says how late it is on that Tuesday: before, in and after the time when payment is slow.
        let second = 0
        const clock: ScaledClock = { ...startClock(scenario.scale), now: () => second }
        const upstreams = yield* startUpstreams(scenario, clock)
        const http = yield* plainClients(() => {})
        const checkout = yield* protectedCheckout(upstreams, http, clock)
        const service = yield* startService(scenario, clock, checkout, true)
        let sent = 0
        const order = Effect.promise(() => {
          const number = ++sent
          return fetch(`${service.url}/orders`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ id: `scraped-${number}`, number, total: 10 })
          }).then((response) => response.text(), () => "")
        })
        yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Effect.forkScoped(order), Effect.sleep(100))))

        const url = yield* prometheus(service.url)
        const alerts = alertsAt(url)
        const state = valueAt(url, "circuit_breaker_state{job=\"orders\", service=\"payment\"}")
        yield* until("the state of the circuit in Prometheus", state, (value) => value === "0")
        yield* until("no alert", alerts, (states) => states.HoldfastCircuitOpen === undefined)

        second = scenario.payment.slowFrom
        yield* until("the alert fires", alerts, (states) => states.HoldfastCircuitOpen === "firing")

        second = scenario.payment.slowUntil
        yield* until("the circuit is closed in Prometheus", state, (value) => value === "0")
        yield* until("the alert is resolved", alerts, (states) => states.HoldfastCircuitOpen === undefined)

        // What the page of the service says, Prometheus has as well.
        const trips = Number(yield* Effect.promise(valueAt(url, "circuit_breaker_trips_total{service=\"payment\"}")))
        assert.isAtLeast(trips, 1)
        const page = yield* Effect.promise(() => get(`${service.url}/metrics`))
        assert.match(page, /^circuit_breaker_state\{service="payment"\} [012]$/m)
        assert.match(page, /^bulkhead_active_count\{service="payment"\} \d+$/m)
        assert.match(page, /^http_client_timeouts_total\{service="payment",endpoint="POST \/charges"\} [1-9]/m)
        assert.match(
          page,
          /^http_client_request_duration_seconds_count\{.*endpoint="POST \/charges",status="200"\} [1-9]/m
        )
        assert.match(page, /^fallback_invocations_total\{service="payment",fallback_type="defer"\} [1-9]/m)
        const checked = ChildProcess.spawnSync("/usr/bin/promtool", ["check", "metrics"], {
          input: page,
          encoding: "utf8"
        })
        assert.deepStrictEqual([checked.status, checked.stdout, checked.stderr], [0, "", ""])
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.mergeAll(
          NodeHttpClient.layerUndici,
          DependencyRegistry.layer,
          ResilienceMetrics.layer(),
          // The service ends while payment is slow: its queue says how many jobs are left.
          Logger.remove(Logger.defaultLogger)
        ))
      ),
    180_000
  )
})
