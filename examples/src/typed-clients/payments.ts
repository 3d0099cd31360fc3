/**
 * One dependency for all three clients: what protects it is declared once, whatever the wire looks like.
 */
import * as Dependency from "@holdfast/core/Dependency"
import * as Failure from "@holdfast/core/Failure"
import * as Schema from "effect/Schema"

/** The gateway is busy: another try may work. A schema class says so by `Failure.byTag`. */
export class GatewayBusy extends Schema.TaggedError<GatewayBusy>()("GatewayBusy", {}) {}

/** The answer will not change. */
export class CardDeclined extends Schema.TaggedError<CardDeclined>()("CardDeclined", { reason: Schema.String }) {}

export class Receipt extends Schema.Class<Receipt>("Receipt")({
  order: Schema.String,
  cents: Schema.Number
}) {}

export class Payments extends Dependency.Service<Payments>()("payments", {
  bulkhead: { maxConcurrent: 20 },
  attemptTimeout: "1 second",
  totalTimeout: "4 seconds",
  classify: Failure.byTag({ GatewayBusy: "Retryable", CardDeclined: "Permanent" }),
  operations: {
    // a charge must not be made twice: it is repeated only if nothing was sent
    charge: { repeatable: false },
    receipt: {}
  }
}) {}
