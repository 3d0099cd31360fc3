/**
 * The shapes in which a dependency fails, as functions of time: healthy, then sick for a minute, then healthy again.
 */
import * as Failure from "@holdfast/core/Failure"
import * as Duration from "effect/Duration"

/** What the dependency does with one request. */
export type Behaviour =
  | { readonly _tag: "Answer"; readonly afterMillis: number }
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Refuse" }
  | { readonly _tag: "Reset"; readonly afterMillis: number }
  | { readonly _tag: "Status"; readonly status: number; readonly retryAfterSeconds?: number }
  /** The head comes at once, the body drips for so long. */
  | { readonly _tag: "SlowBody"; readonly bodyMillis: number }

export const healthy: Behaviour = { _tag: "Answer", afterMillis: 20 }

/** What each shape does `millis` after it fell sick. */
export const shapes = {
  slow: () => ({ _tag: "Answer", afterMillis: 5_000 }),
  hung: () => ({ _tag: "Hang" }),
  refused: () => ({ _tag: "Refuse" }),
  reset: () => ({ _tag: "Reset", afterMillis: 20 }),
  "5xx": () => ({ _tag: "Status", status: 503 }),
  "429": () => ({ _tag: "Status", status: 429, retryAfterSeconds: 1 }),
  flapping: (millis) => millis % 4_000 < 2_000 ? { _tag: "Status", status: 503 } : healthy,
  "slow body": () => ({ _tag: "SlowBody", bodyMillis: 5_000 })
} as const satisfies Record<string, (millis: number) => Behaviour>

export type Shape = keyof typeof shapes

export const names = Object.keys(shapes) as ReadonlyArray<Shape>

/** How the story runs: `scale` shortens everything alike, for sockets in a hurry. */
export interface Story {
  readonly healthyMillis: number
  readonly sickMillis: number
  readonly recoveredMillis: number
  readonly callsPerSecond: number
  readonly scale: number
}

export const story: Story = {
  healthyMillis: 5_000,
  sickMillis: 60_000,
  recoveredMillis: 60_000,
  callsPerSecond: 10,
  scale: 1
}

export const behaviourAt = (shape: Shape, millis: number, plan: Story): Behaviour => {
  const sick = millis / plan.scale - plan.healthyMillis
  const now: Behaviour = sick >= 0 && sick < plan.sickMillis ? shapes[shape](sick) : healthy
  return now._tag === "Answer" || now._tag === "Reset"
    ? { ...now, afterMillis: now.afterMillis * plan.scale }
    : now._tag === "SlowBody"
    ? { ...now, bodyMillis: now.bodyMillis * plan.scale }
    : now._tag === "Status" && now.retryAfterSeconds !== undefined
    ? { ...now, retryAfterSeconds: now.retryAfterSeconds * plan.scale }
    : now
}

/** A status that another try may cure. */
export class ServerFailed extends Failure.Retryable("ServerFailed")<{ readonly status: number }> {}

/** The dependency asks to slow down. */
export class TooManyRequests
  extends Failure.Overloaded("TooManyRequests")<{ readonly retryAfter: Duration.Duration }>
{}

/** The connection failed; the network code is in the chain of causes. */
export class ConnectionFailed extends Failure.Retryable("ConnectionFailed")<{
  readonly cause: unknown
  readonly neverSent: boolean
}> {}

export type CallFailed = ServerFailed | TooManyRequests | ConnectionFailed

export const failureOf = (status: number, retryAfterSeconds: number | undefined): CallFailed =>
  status === 429
    ? new TooManyRequests({ retryAfter: Duration.seconds(retryAfterSeconds ?? 1) })
    : new ServerFailed({ status })

export const connectionFailed = (cause: unknown): CallFailed =>
  new ConnectionFailed({ cause, neverSent: Failure.neverSent(cause) })
