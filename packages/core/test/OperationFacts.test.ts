import { assert, describe, it } from "@effect/vitest"
import type * as Call from "@holdfast/core/Call"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Health from "@holdfast/core/Health"
import * as Policy from "@holdfast/core/Policy"
import * as Timeout from "@holdfast/core/Timeout"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Busy, virtual } from "./support/virtual.js"

const retry = { maxRetries: 1 }

class Payments extends Dependency.Service<Payments>()("payments", {
  retry,
  operations: {
    charge: { repeatable: false, criticality: "critical" },
    read: { repeatable: true, criticality: "optional" },
    plain: {}
  }
}) {}

type Operation = "charge" | "read" | "plain"

const live = Layer.provideMerge(Payments.layer, DependencyRegistry.layer)

type Way = (
  attempt: Effect.Effect<never, Busy>,
  operation: Operation,
  facts: Call.Facts
) => Effect.Effect<unknown, unknown, Payments>

const policyOf = (operation: Operation): Effect.Effect<Policy.Policy.Any, never, Payments> =>
  Effect.flatMap(Payments, (self) => self.policy(operation))

/** Every way of calling an operation. A way that takes no facts is tried without any. */
const ways: Record<string, { readonly call: Way; readonly takesFacts: boolean }> = {
  "the class": {
    takesFacts: true,
    call: (attempt, operation, facts) => attempt.pipe(Payments.call({ ...facts, operation }))
  },
  "the policy of the operation": {
    takesFacts: false,
    call: (attempt, operation) => Effect.flatMap(policyOf(operation), (policy) => policy(attempt))
  },
  "the policy with facts": {
    takesFacts: true,
    call: (attempt, operation, facts) => Effect.flatMap(policyOf(operation), (policy) => policy.with(facts)(attempt))
  },
  "the policy of the dependency, with facts that name the operation": {
    takesFacts: true,
    call: (attempt, operation, facts) =>
      Effect.flatMap(
        Effect.flatMap(Payments, (self) => self.policy()),
        (policy) => policy.with({ ...facts, operation })(attempt)
      )
  },
  "the policy, run with the call in progress": {
    takesFacts: true,
    call: (attempt, operation, facts) =>
      Effect.flatMap(policyOf(operation), (policy) => policy.run(() => attempt, facts))
  },
  "a composition": {
    takesFacts: true,
    call: (attempt, operation, facts) =>
      Effect.flatMap(
        policyOf(operation),
        (policy) => Policy.compose(Timeout.make("1 minute"), policy).with(facts)(attempt)
      )
  },
  "a policy by key": {
    takesFacts: true,
    call: (attempt, operation, facts) =>
      Effect.flatMap(
        Policy.keyed({ name: "tenants", capacity: 2, make: () => policyOf(operation) }),
        (policy) => policy.with({ ...facts, key: "acme" })(attempt)
      )
  },
  "the registry": {
    takesFacts: true,
    call: (attempt, operation, facts) =>
      Effect.flatMap(
        Effect.flatMap(DependencyRegistry.get("payments"), (self) => self.policy(operation)),
        (policy) => policy.with(facts)(attempt)
      )
  }
}

/** What the call says of itself, what the operation declares, and what holds. */
const rows: ReadonlyArray<
  readonly [
    operation: Operation,
    given: boolean | undefined,
    byDefault: boolean | undefined,
    attempts: number,
    repeatable: boolean
  ]
> = [
  ["charge", undefined, undefined, 1, false],
  ["charge", true, undefined, 1, false],
  ["charge", true, true, 1, false],
  ["charge", false, undefined, 1, false],
  ["read", undefined, undefined, 2, true],
  ["read", undefined, false, 2, true],
  ["read", false, undefined, 1, false],
  ["plain", undefined, undefined, 2, true],
  ["plain", undefined, false, 1, false],
  ["plain", true, false, 2, true],
  ["plain", false, true, 1, false]
]

describe("facts of an operation", () => {
  for (const [way, { call, takesFacts }] of Object.entries(ways)) {
    for (const [operation, repeatable, repeatableByDefault, attempts, holds] of rows) {
      if (!takesFacts && (repeatable !== undefined || repeatableByDefault !== undefined)) {
        continue
      }
      virtual(
        `${operation} by ${way}, said ${repeatable}, assumed ${repeatableByDefault}: attempts ${attempts}`,
        ({ of }) =>
          Effect.gen(function*() {
            yield* Effect.exit(call(new Busy({}), operation, { repeatable, repeatableByDefault }))
            assert.strictEqual(of("AttemptEnded").length, attempts)
            const { criticality, operation: told, repeatable: toldRepeatable } = of("AttemptEnded")[0]!.call
            assert.deepStrictEqual(
              { criticality, operation: told, repeatable: toldRepeatable },
              {
                criticality: { charge: "critical", read: "optional", plain: "important" }[operation],
                operation,
                repeatable: holds
              }
            )
          }).pipe(Effect.provide(live))
      )
    }
    if (takesFacts) {
      virtual(`by ${way}, a criticality of the call goes over the declared one, and one that is undefined does not`, (
        { of }
      ) =>
        Effect.gen(function*() {
          yield* Effect.exit(call(new Busy({}), "charge", { criticality: "optional" }))
          yield* Effect.exit(call(new Busy({}), "charge", { criticality: undefined }))
          assert.deepStrictEqual(of("CallEnded").map((event) => event.call.criticality), ["optional", "critical"])
        }).pipe(Effect.provide(live)))
    }
  }

  it.effect("an explanation says what is declared, and which source wins", () =>
    Effect.gen(function*() {
      const said = (operation: Operation) => Effect.map(policyOf(operation), (policy) => Policy.explain(policy))
      const charge = yield* said("charge")
      assert.deepStrictEqual(charge.declared, { operation: "charge", repeatable: false, criticality: "critical" })
      assert.include(
        charge.text,
        "Calls of charge: not repeatable, whatever the call, the HTTP method or an idempotency key says (declared); " +
          "critical (declared) unless the call says otherwise."
      )
      assert.include((yield* said("read")).text, "whatever the HTTP method (declared); optional (declared)")
      assert.include((yield* said("plain")).text, "as the method and the idempotency key say; important (default)")
      assert.isUndefined((yield* Effect.map(policyOf("unheard of" as Operation), Policy.explain)).declared)
    }).pipe(Effect.provide(live)))

  it.effect("health knows the declared criticality before the first call", () =>
    Effect.gen(function*() {
      const { report } = yield* Health.make()
      yield* DependencyRegistry.isolate("payments")
      const { dependencies, status } = yield* report
      assert.deepStrictEqual([status, dependencies[0]?.criticality], ["down", "critical"])
    }).pipe(Effect.provide(Payments.layer), Effect.provide(DependencyRegistry.layer)))
})
