/** The modules of the client side, by name. */
export * as HttpFailure from "../../src/HttpFailure.js"
export * as HttpResilience from "../../src/HttpResilience.js"
export * as UndiciDispatcher from "../../src/UndiciDispatcher.js"
