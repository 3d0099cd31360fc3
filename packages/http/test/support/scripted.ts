/** A client without a network that plays a script, and the small pieces that the tests build on. */
import { HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import type { Duration } from "effect"
import { Effect } from "effect"
import { Backoff, Retry } from "./core.js"

export type Step = number | string | (() => globalThis.Response) | "never"

/** A client that plays a script: a status, the code of a transport error, a response, or silence; the last step is repeated. */
export const scripted = (...steps: ReadonlyArray<Step>) => {
  const requests: Array<HttpClientRequest.HttpClientRequest> = []
  const client = HttpClient.make((request) =>
    Effect.suspend(() => {
      const step = steps[Math.min(requests.length, steps.length - 1)]!
      requests.push(request)
      return step === "never"
        ? Effect.never
        : typeof step === "string"
        ? Effect.fail(
          new HttpClientError.RequestError({
            request,
            reason: "Transport",
            cause: Object.assign(new Error(step), { code: step })
          })
        )
        : Effect.succeed(HttpClientResponse.fromWeb(
          request,
          typeof step === "number" ? new Response(`status ${step}`, { status: step }) : step()
        ))
    })
  )
  return { client, requests }
}

export const retry = (maxRetries = 2, delay: Duration.DurationInput = 0) =>
  Retry.make({ maxRetries, schedule: Backoff.constant(delay, { jitter: "none" }) })

export const post = HttpClientRequest.post("http://payments.test/charges").pipe(
  HttpClientRequest.bodyUnsafeJson({ amount: 1 })
)

export const answering = (status: number, headers: Record<string, string>) => () =>
  new Response("", { status, headers })
