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
    const open = Effect.acquireRelease(
      Effect.sync(() => world().scopes++),
      () => Effect.sync(() => world().scopes--)
    )
    const enter = Effect.sync(() => {
      if (++world().inside > maxConcurrent) {
        world().faults.push(`${world().inside} handlers run in ${maxConcurrent} places`)
      }
    })
    return Effect.zipRight(
      open,
      Effect.acquireUseRelease(enter, () => answer, () => Effect.sync(() => world().inside--))
    )
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

/** What is swept: every kind of request, with and without a queue, around the app and around the server. */
const rows = ["around the app", "around the server"].flatMap((place) =>
  Object.keys(Memory.requests).flatMap((name) => [false, true].map((queued) => ({ name, place, queued })))
)

/** Of some 600 points; each row has a sample of its own, and the rows have most of their points in common. */
const maximumPoints = 70

describe("a client that leaves", () => {
  rows.forEach(({ name, place, queued }, row) => {
    const { count, text } = Memory.requests[name]!
    it.live(`with ${name}, ${queued ? "queued, " : ""}${place}, at any operation: all is given back once`, () =>
      Effect.map(
        OperationSweep.run<World, void, never>({
          make: () => makeWorld(place, queued),
          fibers: "all",
          // An event of a connection never comes within a turn.
          modes: ["yield", "idle"],
          maximumPoints,
          seed: row + 1,
          at: leave,
          body: (world) =>
            Effect.sync(() => world.client.send(text)).pipe(
              Effect.zipRight(Effect.timeoutOption(world.client.answered(count), "1 second")),
              Effect.zipRight(Effect.sync(() => leave(world)))
            ),
          check: (world) =>
            Effect.gen(function*() {
              const { admission, alarms, drain, faults, scope } = world
              // Whatever is set off by the departure has ended when time goes on.
              yield* Effect.sleep("10 millis")
              const { active, queued } = yield* admission.bulkhead.snapshot
              const inFlight = yield* drain.inFlight
              const { inside, scopes } = world
              yield* Scope.close(scope, Exit.void)
              return [
                ...faults,
                ...(active + queued === 0 ? [] : [`${active} places are out, ${queued} wait`]),
                ...(inFlight === 0 ? [] : [`${inFlight} are in flight`]),
                ...(inside === 0 ? [] : [`${inside} handlers have not been left`]),
                ...(scopes === 0 ? [] : [`${scopes} requests are open`]),
                ...(alarms.size === 0 ? [] : [`${alarms.size} alarms are left`])
              ]
            })
        }),
        (report) => {
          OperationSweep.assertClean(report)
          assert.isAbove(report.operations, 10)
        }
      ).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))
  })
})
