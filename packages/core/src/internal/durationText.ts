/**
 * A duration as a message shows it. `Duration.format` throws for what is too long for its arithmetic, and a message must not throw.
 */
import * as Duration from "effect/Duration"

const longest = Duration.weeks(5200)

/** @internal */
export const durationText = (duration: Duration.Duration): string =>
  Duration.greaterThan(duration, longest) ? "more than 100 years" : Duration.format(duration)

/**
 * The end of a sentence that says when to come back, in whole milliseconds; nothing where no time is known.
 *
 * @internal
 */
export const tryAgain = (retryAfter: Duration.Duration | undefined): string =>
  retryAfter === undefined
    ? ""
    : `; try again in ${durationText(Duration.millis(Math.ceil(Duration.toMillis(retryAfter))))}`
