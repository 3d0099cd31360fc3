import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Alarm from "@holdfast/core/Alarm"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpDeadline from "@holdfast/http/HttpDeadline"
import * as HttpDrain from "@holdfast/http/HttpDrain"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import { Effect, Exit, Logger, Scope } from "effect"
import * as Memory from "./support/memoryServer.js"

interface World {
  readonly memory: Memory.Memory
  readonly client: Memory.Connection
  readonly scope: Scope.CloseableScope
  readonly admission: HttpAdmission.HttpAdmission
  readonly drain: HttpDrain.Drain
  readonly alarms: Alarm.Alarms
  /** Handlers that run, and scopes of requests that are open. */
  inside: number
  scopes: number
  readonly faults: Array<string>
}

const maxConcurrent = 2

const handler = (world: () => World): Memory.App =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const answer = request.headers["upgrade"] !== undefined
      ? Effect.flatMap(request.upgrade, (socket) => Effect.as(socket.run(() => {}), HttpServerResponse.empty()))
      : request.method === "POST"
      ? Effect.map(request.text, (text) => HttpServerResponse.text(text))
      : Effect.as(Effect.sleep("5 millis"), HttpServerResponse.text("done"))
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        if (++world().inside > maxConcurrent) {
          world().faults.push(`${world().inside} handlers run in ${maxConcurrent} places`)
        }
      }),
      () => Effect.zipRight(Effect.addFinalizer(() => Effect.sync(() => world().scopes--)), answer),
      () => Effect.sync(() => world().inside--)
    ).pipe(Effect.tap(() => {}), (app) => Effect.zipRight(Effect.sync(() => world().scopes++), app))
  })

const makeWorld = (place: string, queued: boolean) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const memory = yield* Scope.extend(Memory.make, scope)
    const admission = yield* HttpAdmission.make({ maxConcurrent, maxQueue: 2 })
    const drain = yield* HttpDrain.make({ server: memory.node })
    const deadline = HttpDeadline.middleware({ limit: "1 hour" })
    if (queued) {
      yield* Effect.forkDaemon(
        Effect.all([1, 2].map((millis) => admission.bulkhead(Effect.sleep(millis))), { concurrency: 2 })
      )
      yield* Effect.yieldNow()
    }
    const world: World = {
      memory,
      client: memory.connect(),
      scope,
      admission,
      drain,
      alarms: Alarm.of(yield* Effect.clock),
      inside: 0,
      scopes: 0,
      faults: []
    }
    yield* Scope.extend(
      Memory.places[place]!(
        memory,
        handler(() => world),
        (app) =>
          drain.middleware(
            place === "around the server" ? admission.middleware(app) : deadline(admission.middleware(app))
          )
      ),
      scope
    )
    return world
  })

const leave = ({ client, faults }: World): void => {
  if (client.listenerCount("error") === 0) {
    faults.push("an error of the connection would end the process")
    client.on("error", () => {})
  }
  client.reset()
}

describe("a client that leaves", () => {
  for (const place of Object.keys(Memory.places)) {
    for (const [name, { count, text }] of Object.entries(Memory.requests)) {
      for (const queued of [false, true]) {
        it.live(
          `with ${name}, ${queued ? "queued, " : ""}${place}, at every operation: all is given back once`,
          () =>
            Effect.map(
              OperationSweep.run<World, void, never>({
                make: () => makeWorld(place, queued),
                fibers: "all",
                // An event of a connection never comes within a turn.
                modes: ["yield", "idle"],
                at: leave,
                body: (world) =>
                  Effect.sync(() => world.client.send(text)).pipe(
                    Effect.zipRight(Effect.timeoutOption(world.client.answered(count), "1 second")),
                    Effect.zipRight(Effect.sync(() => leave(world)))
                  ),
                check: ({ admission, alarms, drain, faults, scope }) =>
                  Effect.gen(function*() {
                    // Whatever is set off by the departure has ended when time goes on.
                    yield* Effect.sleep("10 millis")
                    const { active, queued } = yield* admission.bulkhead.snapshot
                    const inFlight = yield* drain.inFlight
                    yield* Scope.close(scope, Exit.void)
                    return [
                      ...faults,
                      ...(active + queued === 0 ? [] : [`${active} places are out, ${queued} wait`]),
                      ...(inFlight === 0 ? [] : [`${inFlight} are in flight`]),
                      ...(alarms.size === 0 ? [] : [`${alarms.size} alarms are left`])
                    ]
                  })
              }),
              (report) => {
                console.log(OperationSweep.format(report).slice(0, 600))
                OperationSweep.assertClean(report)
                assert.isAbove(report.operations, 10)
              }
            ).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))),
          120_000
        )
      }
    }
  }
})
