/**
 * Holds a response: reads its body while the policy watches, as far as it is asked to.
 */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { cutShort, type FirstParts, firstParts } from "./firstParts.js"
import { broken, type Failure, HeldResponse, type Pull } from "./heldResponse.js"
import { contentLength, type Head, isBodiless, isEventStream } from "./responseHead.js"
import { type Connection, readAll, readBefore } from "./transport.js"
import { within } from "./within.js"

type Response = HttpClientResponse.HttpClientResponse

/** Pulls with the end and the missing body (which a transport may report as a failure) told apart from what breaks. */
const pullOf = (response: Response, connection: Connection): Effect.Effect<Pull> =>
  Effect.map(
    Effect.flatMap(connection.scope, (scope) => Scope.extend(Stream.toPull(response.stream), scope)),
    (pull) => Effect.mapError(pull, (end) => Option.filter(end, (error) => error.reason !== "EmptyBody"))
  )

/** @internal */
export interface Reading {
  /** Bytes read before the response is handed over; 0 hands it over at its headers. */
  readonly upTo: number
  /** The longest wait for the next part of a body that is read on after the policy. */
  readonly idleMillis: number
  readonly arrivedAt: number
}

const pullParts = (pull: Pull, upTo: number): Effect.Effect<FirstParts, Failure> => {
  const parts: Array<Uint8Array> = []
  let size = 0
  const read: Effect.Effect<FirstParts, Failure> = Effect.matchEffect(pull, {
    onSuccess: (more) => {
      for (const part of more) {
        parts.push(part)
        size += part.length
      }
      return size > upTo ? Effect.succeed({ parts, ended: false }) : read
    },
    onFailure: (end) => Option.isSome(end) ? Effect.fail(end.value) : Effect.succeed({ parts, ended: true })
  })
  return read
}

/**
 * Gives up a body that nobody has begun to read. Only a stream that runs can be stopped, and only that tells an exchange that is not ours,
 * such as the one behind a redirect, to end.
 */
const abandon = (pull: Pull): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.fork(Effect.interruptible(pull)),
    (begun) => Effect.zipRight(Effect.yieldNow(), Fiber.interrupt(begun))
  )

const idleLimited = (response: Response, pull: Pull, idleMillis: number): Pull =>
  within(pull, idleMillis, () => Option.some(broken(response, `no part of the body came for ${idleMillis} ms`)))

/**
 * Holds a response: reads its body up to a number of bytes, and no byte of an event stream. `connection` is closed when the rest of a
 * longer body has been read, released or forgotten; a body that was read in full has given its connection back by itself.
 *
 * @internal
 */
export const hold = (
  response: Response,
  connection: Connection,
  { arrivedAt, idleMillis, upTo }: Reading
): Effect.Effect<HeldResponse, Failure> => {
  const { headers, request, status } = response
  const head: Head = { headers, request, status }
  const limit = isEventStream(head) ? 0 : upTo
  const length = contentLength(head)
  const all = (parts: ReadonlyArray<Uint8Array>) => new HeldResponse(response, headers, arrivedAt, parts, undefined)
  const before = readBefore(response)
  if (before !== undefined) {
    return Effect.map(before, (bytes) => all([bytes]))
  }
  if (isBodiless(head)) {
    return Effect.map(Effect.ignore(readAll(response)), () => all([]))
  }
  const cut = cutShort(response)
  if (cut !== undefined) {
    return Effect.fail(cut)
  }
  if (length !== undefined && length <= limit) {
    return Effect.map(readAll(response), (bytes) => all([bytes]))
  }
  const pulling = pullOf(response, connection)
  /** The parts that were read, and the rest behind `pull`, which they came from if it has `begun`. */
  const handOver = (parts: ReadonlyArray<Uint8Array>, pull: Pull, begun: boolean): HeldResponse => {
    const watched: Pull = Effect.suspend(() => {
      const lost = begun ? undefined : cutShort(response)
      begun = true
      return lost === undefined ? pull : Effect.fail(Option.some(lost))
    })
    return new HeldResponse(response, headers, arrivedAt, parts, {
      pull: idleLimited(response, watched, idleMillis),
      release: Effect.suspend(() => begun ? connection.close : Effect.zipRight(abandon(pull), connection.close))
    })
  }
  if (limit <= 0) {
    return Effect.map(pulling, (pull) => handOver([], pull, false))
  }
  const first = firstParts(response, limit)
  return first === undefined
    ? Effect.flatMap(
      pulling,
      (pull) =>
        Effect.flatMap(
          pullParts(pull, limit),
          ({ ended, parts }) =>
            ended ? Effect.as(connection.close, all(parts)) : Effect.succeed(handOver(parts, pull, true))
        )
    )
    : Effect.flatMap(first, ({ ended, parts }) =>
      ended
        ? Effect.succeed(all(parts))
        : Effect.map(pulling, (pull) => handOver(parts, pull, false)))
}

/**
 * Holds the response of an error, whose connection is given up with the attempt: what is not read by then is lost, and whoever reads
 * that far is told so.
 *
 * @internal
 */
export const keep = (
  response: Response,
  connection: Connection,
  reading: Reading
): Effect.Effect<HeldResponse> =>
  Effect.matchEffect(hold(response, connection, reading), {
    onSuccess: (held) =>
      Effect.sync(() => {
        if (!held.complete) {
          held.cut(
            broken(response, `the attempt that failed with this answer read ${reading.upTo} bytes of its body at most`)
          )
        }
        return held
      }),
    onFailure: (failure) =>
      Effect.succeed(
        new HeldResponse(response, response.headers, reading.arrivedAt, [], {
          pull: Effect.fail(Option.some(failure)),
          release: Effect.void
        })
      )
  })
