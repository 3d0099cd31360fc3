/**
 * Owns what a middleware has taken for a request, a place or a count, and gives it back exactly once.
 */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerError from "@effect/platform/HttpServerError"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { type Departure, watchDeparture } from "./departure.js"

type AnyExit = Exit.Exit<unknown, unknown>

/** How a request ends whose client has left: as the platform has it. */
const departed = Exit.failCause(Cause.interrupt(HttpServerError.clientAbortFiberId))

/**
 * The one owner. It is there before anything is taken, and hears of everything that can end a request:
 *
 * - the scope of the request closes: the answer was sent;
 * - the taking fails or is interrupted;
 * - the client leaves while the request waits;
 * - the app has ended **and** the client has left without its whole answer. An app that cannot be interrupted goes on after its client
 *   has left, and what it holds must not be given to others meanwhile.
 *
 * @internal
 */
export class Lease {
  private state: "taking" | "running" | "answered" | "over" = "taking"
  private giveBack: ((exit: AnyExit) => void) | undefined = undefined
  private givenBack: Effect.Effect<unknown> = Effect.void
  readonly departure: Departure

  constructor(departure: Departure) {
    this.departure = departure
    departure.onGone(() => {
      if (this.state !== "running") {
        this.end(departed)
      }
    })
  }

  /**
   * To be called in the same step that takes: from here on `giveBack` is called once, at once if it is late. `givenBack` waits for what
   * that sets off.
   */
  taken(giveBack: (exit: AnyExit) => void, givenBack: Effect.Effect<unknown> = Effect.void): void {
    this.givenBack = givenBack
    if (this.state === "over") {
      giveBack(departed)
    } else {
      this.giveBack = giveBack
    }
  }

  /** Says whether the app may run: not for a client that left while the request waited, whose place is with another by now. */
  run(): boolean {
    if (this.state === "taking") {
      this.state = "running"
    }
    return this.state === "running"
  }

  answer(): void {
    if (this.state === "running") {
      this.state = "answered"
      if (this.departure.gone) {
        this.end(departed)
      }
    }
  }

  end(exit: AnyExit): void {
    if (this.state !== "over") {
      this.state = "over"
      const giveBack = this.giveBack
      this.giveBack = undefined
      giveBack?.(exit)
    }
  }

  close(exit: AnyExit): Effect.Effect<unknown> {
    this.end(exit)
    return this.givenBack
  }
}

/**
 * Runs the app with what `take` takes, or answers what `take` answers in its place.
 *
 * @internal
 */
export const holding = <E, R>(
  request: HttpServerRequest.HttpServerRequest,
  take: (lease: Lease) => Effect.Effect<HttpServerResponse.HttpServerResponse | undefined>,
  app: HttpApp.Default<E, R>
): HttpApp.Default<E, R | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) => {
    const lease = new Lease(watchDeparture(request))
    const answer = Effect.sync(() => lease.answer())
    // Around the server the app ends only when its answer was written; around a route the handler may get lost with a fiber.
    const beforeAnswer = HttpApp.appendPreResponseHandler((_, response) =>
      Effect.suspend(() => {
        lease.answer()
        // The platform has interrupted this fiber already. Taking it in here keeps it from writing to nobody.
        return lease.departure.gone
          ? Effect.as(Effect.interruptible(Effect.void), response)
          : Effect.succeed(response)
      })
    )
    const taking = Effect.onExit(take(lease), (exit) =>
      Exit.isFailure(exit) ? Effect.sync(() => lease.end(exit)) : Effect.void)
    return Effect.zipRight(
      Effect.addFinalizer((exit) =>
        lease.close(exit)
      ),
      Effect.flatMap(taking, (refusal): HttpApp.Default<E, R> => {
        if (refusal !== undefined) {
          return Effect.succeed(refusal)
        }
        return lease.run() ? Effect.zipRight(beforeAnswer, Effect.ensuring(restore(app), answer)) : departed
      })
    )
  })
