/**
 * A page with a row of buttons per service, to make it ill and well by hand. It has a port of its own: readers have no business there.
 */
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { serve } from "../loopback.js"
import { html } from "./markup.js"
import { conditions, names, type Upstreams } from "./upstreams.js"

const Change = Schema.Struct({ name: Schema.Literal(...names), condition: Schema.Literal(...conditions) })

const board = (upstreams: Upstreams, circuits: ReadonlyMap<string, string>) =>
  HttpServerResponse.text(
    html`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Switchboard</title>
<style>body{font:1rem system-ui;margin:2rem}td{padding:.3rem .8rem .3rem 0}button[disabled]{font-weight:bold}</style></head>
<body><h1>Switchboard</h1><table>${
      names.map((name) =>
        html`<tr><th scope="row">${name}</th>${
          conditions.map((condition) =>
            html`<td><form method="post"><input type="hidden" name="name" value="${name}">
<button name="condition" value="${condition}" ${
              upstreams.condition[name] === condition ? html`disabled` : undefined
            }>${condition}</button></form></td>`
          )
        }<td>asked ${upstreams.asked[name]} times, circuit ${circuits.get(name) ?? "unknown"}</td></tr>`
      )
    }</table><p>A service that was made well is asked again when its circuit lets a probe through, after 30 seconds at most.</p></body></html>`
      .text,
    { contentType: "text/html; charset=utf-8" }
  )

export const startSwitchboard = (upstreams: Upstreams) =>
  serve(
    HttpRouter.empty.pipe(
      HttpRouter.get(
        "/",
        Effect.map(DependencyRegistry.states, (states) =>
          board(
            upstreams,
            new Map(states.map((state) => [state.dependency, state.circuitBreaker?.state._tag ?? "off"]))
          ))
      ),
      HttpRouter.post(
        "/",
        Effect.map(HttpServerRequest.schemaBodyUrlParams(Change), ({ condition, name }) => {
          upstreams.condition[name] = condition
          return HttpServerResponse.redirect("/", { status: 303 })
        })
      )
    )
  )
