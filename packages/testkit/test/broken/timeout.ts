import * as Core from "@holdfast/core/Timeout"
import * as FaultProxy from "@holdfast/testkit/FaultProxy"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as Toxic from "@holdfast/testkit/Toxic"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as net from "node:net"
import { eventually, server } from "../support/network.js"
import { bug, ofSweep, type Protect } from "./bug.js"

const limit = 20

const real = () => Effect.succeed<Protect>(Core.make(limit))

const alarm = FiberId.runtime(-1, 0)

/** Interrupts its own fiber, and takes the interruption back in two steps: what comes between them is forgotten. */
const takesBackInTwoSteps: Protect = (effect) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime((fiber) =>
      Effect.gen(function*() {
        let rang = false
        const ring = Effect.sync(() => {
          rang = true
          fiber.unsafeInterruptAsFork(alarm)
        })
        const bell = yield* Effect.forkDaemon(Effect.interruptible(Effect.delay(ring, limit)))
        const exit = yield* Effect.exit(restore(effect))
        yield* Fiber.interrupt(bell)
        const cause = yield* FiberRef.get(FiberRef.interruptedCause)
        const others = Array.from(Cause.interruptors(cause)).filter((id) => !Equal.equals(id, alarm))
        const rest = others.reduce<Cause.Cause<never>>(
          (sum, id) => Cause.parallel(sum, Cause.interrupt(id)),
          Cause.empty
        )
        yield* FiberRef.set(FiberRef.interruptedCause, rest)
        return yield* rang ? Effect.fail("TimedOut") : exit
      })
    )
  )

interface World {
  readonly protect: Protect
  interrupted: boolean
  left: boolean
}

export const interruptionLost = bug<Protect>({
  policy: "Timeout",
  title: "an interruption from outside is lost when it meets the limit",
  tool: "OperationSweep",
  broken: () => Effect.succeed(takesBackInTwoSteps),
  real,
  check: (make) =>
    Effect.map(
      OperationSweep.run({
        make: () => Effect.map(make(), (protect): World => ({ protect, interrupted: false, left: false })),
        body: (world) =>
          Effect.exit(world.protect(Effect.sleep("1 second"))).pipe(
            Effect.zipLeft(Effect.yieldNow()),
            Effect.zipLeft(Effect.sync(() => {
              world.left = true
            })),
            Effect.zipLeft(Effect.yieldNow())
          ),
        at: (world, fiber) => {
          world.interrupted = !world.left
          fiber.unsafeInterruptAsFork(FiberId.none)
        },
        check: (world, exit) =>
          world.interrupted && !Exit.isInterrupted(exit) ? "the caller was interrupted, and went on" : ""
      }),
      ofSweep
    )
})

export const callAbandoned = bug<Protect>({
  policy: "Timeout",
  title: "a call that took too long is left to run",
  tool: "FaultProxy",
  broken: () =>
    Effect.succeed<Protect>((effect) =>
      Effect.flatMap(
        Effect.forkDaemon(effect),
        (fiber) => Effect.raceFirst(Fiber.join(fiber), Effect.delay(Effect.fail("TimedOut"), limit))
      )
    ),
  real,
  check: (make) =>
    Effect.gen(function*() {
      const { address } = yield* server(({ socket }) => {
        socket.on("data", () => socket.write("too late"))
        socket.on("end", () => socket.end())
      })
      const proxy = yield* FaultProxy.make({ upstream: address, toxics: [Toxic.bandwidth({ name: "held", rate: 0 })] })
      const seen = { answers: 0 }
      const call = Effect.async<void>((resume) => {
        const socket = net.connect({ host: "127.0.0.1", port: proxy.port() })
        socket.once("connect", () => socket.write("ask"))
        socket.once("data", () => {
          seen.answers++
          resume(Effect.void)
        })
        return Effect.sync(() => socket.destroy())
      })
      const protect = yield* make()
      yield* Effect.exit(protect(call))
      yield* proxy.remove("held")
      yield* eventually(() => seen.answers > 0 || (proxy.accepted() > 0 && proxy.connections().length === 0))
      return seen.answers === 0 ? "" : "the connection was still open, and its answer was read by nobody"
    }).pipe(Effect.scoped, Effect.orDie)
})
