/**
 * Every module of `@holdfast/testkit` that needs only `effect` under its name. Importing the modules one by one loads less.
 *
 * @since 0.1.0
 */
export * as FaultProxies from "./FaultProxies.js"
export * as FaultProxy from "./FaultProxy.js"
export * as MachineLaws from "./MachineLaws.js"
export * as OperationSweep from "./OperationSweep.js"
export * as ScriptedDependency from "./ScriptedDependency.js"
export * as Toxic from "./Toxic.js"
export * as VirtualClock from "./VirtualClock.js"
