/**
 * Programs as data for the comparison of the two ways of stopping: what they do is traced with its instant.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import * as fc from "fast-check"
import * as Backoff from "../../src/Backoff.js"
import * as CircuitBreaker from "../../src/CircuitBreaker.js"
import * as Failure from "../../src/Failure.js"
import * as Retry from "../../src/Retry.js"
import * as Step from "../../src/Step.js"
import * as Timeout from "../../src/Timeout.js"

/** Names of everything a program may contain. */
export const constructs = [
  "succeed",
  "fail",
  "busy",
  "die",
  "never",
  "sleep",
  "yieldNow",
  "promise",
  "setRef",
  "request",
  "then",
  "fork",
  "race",
  "all",
  "uninterruptible",
  "interruptible",
  "disconnect",
  "acquireRelease",
  "scoped",
  "ensuring",
  "catchAll",
  "timeout",
  "retry",
  "breaker"
] as const

type Construct = typeof constructs[number]

/** One node of a program. `n` gives instants and numbers, `parts` are what it is made of. */
export interface Program {
  readonly tag: Construct
  readonly id: number
  readonly n: number
  readonly parts: ReadonlyArray<Program>
}

interface Shape {
  readonly tag: Construct
  readonly n: number
  readonly parts: ReadonlyArray<Shape>
}

const leaf = (tag: Construct) => fc.record<Shape>({ tag: fc.constant(tag), n: fc.nat(12), parts: fc.constant([]) })
const one = (tag: Construct, part: fc.Arbitrary<Shape>) =>
  fc.record<Shape>({ tag: fc.constant(tag), n: fc.nat(12), parts: fc.tuple(part) })
const two = (tag: Construct, part: fc.Arbitrary<Shape>) =>
  fc.record<Shape>({ tag: fc.constant(tag), n: fc.nat(12), parts: fc.tuple(part, part) })

const shape = fc.letrec<{ node: Shape }>((tie) => {
  const node = tie("node")
  const leaves = fc.oneof(
    { weight: 5, arbitrary: leaf("sleep") },
    { weight: 2, arbitrary: leaf("succeed") },
    leaf("fail"),
    leaf("busy"),
    leaf("die"),
    leaf("never"),
    leaf("yieldNow"),
    leaf("promise"),
    leaf("setRef"),
    leaf("request")
  )
  return {
    node: fc.oneof(
      { depthSize: "small", maxDepth: 5, withCrossShrink: true },
      leaves,
      two("then", node),
      two("then", node),
      one("fork", node),
      two("race", node),
      two("all", node),
      one("uninterruptible", node),
      one("interruptible", node),
      one("disconnect", node),
      one("acquireRelease", node),
      one("scoped", node),
      one("ensuring", node),
      one("catchAll", node),
      one("timeout", node),
      one("retry", node),
      one("breaker", node)
    )
  }
}).node

const numbered = (root: Shape): Program => {
  let last = 0
  const number = (node: Shape): Program => ({ tag: node.tag, n: node.n, id: ++last, parts: node.parts.map(number) })
  return number(root)
}

/** A limit, a moment at which the caller gives up (none at 0), and what is done under them. */
export const program: fc.Arbitrary<{ readonly limit: number; readonly giveUp: number; readonly body: Program }> = fc
  .record({
    limit: fc.integer({ min: 1, max: 20 }),
    giveUp: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 20 })),
    body: fc.tuple(shape, shape).map(([first, second]) =>
      numbered({ tag: "then", n: 0, parts: [{ tag: "catchAll", n: 0, parts: [first] }, second] })
    )
  })

type Generated = typeof program extends fc.Arbitrary<infer A> ? A : never

/** Counts every construct of a program. */
export const countConstructs = (generated: Generated, into: Map<string, number>): void => {
  const visit = (node: Program): void => {
    into.set(node.tag, (into.get(node.tag) ?? 0) + 1)
    node.parts.forEach(visit)
  }
  visit(generated.body)
}

/** What was to be seen: the events with their instants, and how it ended. */
export interface Trace {
  readonly events: ReadonlyArray<string>
  readonly end: string
  /** The FiberRef behind a success; behind a failure it is no one's. */
  readonly ref: number | undefined
}

class Busy extends Failure.Retryable("Busy")<{ readonly id: number }> {}

const ref = globalValue(Symbol.for("test/programs/ref"), () => FiberRef.unsafeMake(0))

interface Lookup extends Request.Request<number> {
  readonly _tag: "Lookup"
  readonly n: number
}
const Lookup = Request.tagged<Lookup>("Lookup")

/** No two waits of a program end at one instant, nor with a limit: who wins a tie is not for the ways to agree on. */
const instant = (node: Program, millis: number): number => millis + 0.31 + node.id * 0.0173

const describeEnd = (exit: Exit.Exit<unknown, unknown>): string => {
  if (exit._tag === "Success") {
    return "value"
  }
  const failures = Chunk.toReadonlyArray(Cause.failures(exit.cause)).map((failure: any) =>
    failure?._tag === "TimedOut" ? `timed out ${failure.policy}` : failure?._tag ?? String(failure)
  )
  const defects = Chunk.toReadonlyArray(Cause.defects(exit.cause)).map(String)
  const interrupted = Cause.isInterrupted(exit.cause)
  return [
    ...Array.from(new Set(failures)).sort(),
    ...Array.from(new Set(defects)).sort(),
    ...(interrupted ? ["interrupted"] : [])
  ].join(", ")
}

/** Runs a program under its limit and tells what it did. */
export const run = (generated: Generated): Effect.Effect<Trace> =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const started = clock.unsafeCurrentTimeMillis()
    const events: Array<string> = []
    const note = (text: string): Effect.Effect<void> =>
      Effect.sync(() => {
        events.push(`${clock.unsafeCurrentTimeMillis() - started} ${text}`)
      })
    const breaker = yield* CircuitBreaker.make({ name: "breaker", tripPolicy: CircuitBreaker.consecutive(2) })
    const lookups = RequestResolver.makeBatched((requests: ReadonlyArray<Lookup>) =>
      Effect.zipRight(
        Effect.sleep("2 millis"),
        Effect.forEach(requests, (request) => Request.succeed(request, request.n), { discard: true })
      )
    )
    const compile = (node: Program): Effect.Effect<unknown, unknown> => {
      const name = `${node.tag} ${node.id}`
      // Alarms are up to a millisecond late, so that some ring together: whether the outer one's interruption has reached a part
      // that fails at that very instant is for neither way to say.
      const traced = (effect: Effect.Effect<unknown, unknown>) =>
        Effect.onExit(effect, (exit) => note(`${name}: ${describeEnd(exit).replace(/(.), interrupted$/, "$1")}`))
      const [first, second] = node.parts.map(compile)
      // Branches that run at once begin at instants of their own.
      const later = Effect.zipRight(Effect.sleep(instant(node, 0)), second ?? Effect.void)
      switch (node.tag) {
        case "succeed":
          return traced(Effect.succeed(node.n))
        case "fail":
          return traced(Effect.fail(`failure ${node.id}`))
        case "busy":
          return traced(Effect.suspend(() => Effect.fail(new Busy({ id: node.id }))))
        case "die":
          return traced(Effect.die(`defect ${node.id}`))
        case "never":
          return traced(Effect.never)
        case "sleep":
          return traced(Effect.sleep(instant(node, node.n)))
        case "yieldNow":
          return traced(Effect.yieldNow())
        case "promise":
          return traced(Effect.promise(() => Promise.resolve(node.n)))
        case "setRef":
          return FiberRef.set(ref, node.id)
        case "request":
          return traced(
            Effect.forEach([node.n, node.n + 1], (n) => Effect.request(Lookup({ n }), lookups), { batching: true })
          )
        case "then":
          return Effect.zipRight(first!, second!)
        case "fork":
          // Awaited: a child that outlives its parent's success is one of the allowed differences.
          return Effect.flatMap(Effect.fork(first!), (fiber) =>
            Effect.zipRight(Effect.sleep(instant(node, node.n % 4)), Fiber.join(fiber)))
        case "race":
          return traced(Effect.raceFirst(first!, later))
        case "all":
          return traced(Effect.all([first!, later], { concurrency: node.n % 2 === 0 ? 2 : 1 }))
        case "uninterruptible":
          // What never ends and cannot be interrupted hangs in any way of stopping.
          return containsNever(node) ? traced(first!) : traced(Effect.uninterruptible(first!))
        case "interruptible":
          return traced(Effect.interruptible(first!))
        case "disconnect":
          return traced(Effect.disconnect(first!))
        case "acquireRelease":
          return Effect.acquireUseRelease(
            note(`${name}: acquired`),
            () =>
              first!,
            () => Effect.zipRight(Effect.sleep(instant(node, node.n % 3)), note(`${name}: released`))
          )
        case "scoped":
          return Effect.scoped(Effect.zipRight(
            Effect.acquireRelease(note(`${name}: acquired`), () =>
              Effect.zipRight(Effect.sleep(instant(node, node.n % 3)), note(`${name}: released`))),
            first!
          ))
        case "ensuring":
          return Effect.ensuring(first!, note(`${name}: ensured`))
        case "catchAll":
          return Effect.catchAll(first!, (error) =>
            note(`${name}: caught ${String((error as any)?._tag ?? error)}`))
        case "timeout":
          return traced(Timeout.make(node.n + 1, { name, scope: node.n % 3 === 0 ? "total" : "attempt" })(first!))
        case "retry":
          return traced(
            Step.policy([
              ...Step.partsOf(Timeout.make(node.n + 6, { name: `${name} total`, scope: "total" })),
              ...Step.partsOf(
                Retry.make({ maxRetries: 2, schedule: Backoff.constant(node.n % 3, { jitter: "none" }) })
              ),
              ...Step.partsOf(Timeout.make(node.n + 2, { name }))
            ])(first!)
          )
        case "breaker":
          return traced(
            Step.policy([...Step.partsOf(breaker), ...Step.partsOf(Timeout.make(node.n + 3, { name }))])(first!)
          )
      }
    }
    const limited = Timeout.make(generated.limit, { name: "limit" })(compile(generated.body))
    const seen = Effect.zipLeft(limited, note("the caller goes on"))
    const fiber = yield* Effect.fork(Effect.zip(seen, FiberRef.get(ref)))
    if (generated.giveUp > 0) {
      yield* Effect.fork(Effect.zipRight(Effect.sleep(generated.giveUp - 0.5), Fiber.interruptFork(fiber)))
    }
    const exit = yield* Fiber.await(fiber)
    yield* note(`end: ${describeEnd(exit)}`)
    // What a disconnected part still does belongs to the trace.
    yield* Effect.sleep("100 millis")
    const snapshot = yield* breaker.snapshot
    yield* note(`breaker: ${snapshot.state._tag}, ${snapshot.consecutiveFailures}`)
    // Fibers that run at one and the same instant take turns by the number of their operations, which the ways may differ in.
    events.sort((left, right) =>
      parseFloat(left) - parseFloat(right) || (left < right ? -1 : 1)
    )
    return {
      events,
      end: describeEnd(exit),
      ref: exit._tag === "Success" && !setsRefUnderLimit(generated.body, false) ? exit.value[1] : undefined
    }
  }).pipe(Logger.withMinimumLogLevel(LogLevel.None))

/** A limit inside that failed leaves what it set in the shared way, and not in the other: an allowed difference. */
const setsRefUnderLimit = (node: Program, under: boolean): boolean =>
  node.tag === "setRef"
    ? under
    : node.parts.some((part) => setsRefUnderLimit(part, under || ["timeout", "retry", "breaker"].includes(node.tag)))

const containsNever = (node: Program): boolean => node.tag === "never" || node.parts.some(containsNever)
