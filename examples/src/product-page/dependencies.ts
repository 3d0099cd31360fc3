/**
 * The five dependencies of the page, each declared once: how long it may take, what it may use up, when it is taken for down.
 *
 * A reader waits two seconds for a page. What is critical gets one more try within them; what is optional does not.
 */
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as Layer from "effect/Layer"

// Five in a row: the page of one product is no busy place. The default is for more calls than that.
const circuitBreaker = { tripPolicy: CircuitBreaker.lowTraffic, openDuration: "30 seconds" } as const

const once = { maxRetries: 1 } as const

/** Without it there is no page. */
export class Products extends Dependency.Service<Products>()("product", {
  totalTimeout: "2 seconds",
  attemptTimeout: "800 millis",
  retry: once,
  bulkhead: { maxConcurrent: 40 },
  circuitBreaker
}) {}

/** Without it there is no page either: a wrong price is worse than none. */
export class Pricing extends Dependency.Service<Pricing>()("pricing", {
  totalTimeout: "2 seconds",
  attemptTimeout: "800 millis",
  retry: once,
  bulkhead: { maxConcurrent: 40 },
  circuitBreaker
}) {}

/** The page says so when it is missing. */
export class Inventory extends Dependency.Service<Inventory>()("inventory", {
  totalTimeout: "1200 millis",
  attemptTimeout: "500 millis",
  retry: once,
  bulkhead: { maxConcurrent: 30 },
  circuitBreaker
}) {}

/** Nice to have. */
export class Reviews extends Dependency.Service<Reviews>()("reviews", {
  totalTimeout: "1 second",
  attemptTimeout: "800 millis",
  retry: false,
  bulkhead: { maxConcurrent: 20 },
  circuitBreaker
}) {}

/** Nice to have, and slow on bad days: few places, so that it cannot hold on to much. */
export class Recommendations extends Dependency.Service<Recommendations>()("recommendations", {
  totalTimeout: "1 second",
  attemptTimeout: "800 millis",
  retry: false,
  bulkhead: { maxConcurrent: 10 },
  circuitBreaker
}) {}

/** All five; the environment may change their numbers: `PRICING_ATTEMPT_TIMEOUT="500 millis"`. */
export const layer = Layer.mergeAll(
  Products.layerConfig(),
  Pricing.layerConfig(),
  Inventory.layerConfig(),
  Reviews.layerConfig(),
  Recommendations.layerConfig()
)
