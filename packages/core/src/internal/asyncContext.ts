/**
 * The async context of JavaScript: what `AsyncLocalStorage` and the context manager of OpenTelemetry read. One timer serves many calls,
 * and one call ends the wait of another, so each call keeps its own context and goes on in it.
 */

/**
 * A place in the flow of the program, as `AsyncResource` of `node:async_hooks` has it.
 *
 * @internal
 */
export interface AsyncContext {
  /** Calls `f` in this context, and puts the present one back when it returns. */
  runInAsyncScope<This, Args extends ReadonlyArray<any>, A>(
    f: (this: This, ...args: Args) => A,
    thisArg: This,
    ...args: Args
  ): A
  /** The context is not needed any more: for tools that count what is open. */
  emitDestroy(): unknown
}

type AsyncContextConstructor = new(type: string, options: typeof manual) => AsyncContext

/** Its end is reported by its owner, at the end of the call; a finalizer of the garbage collector would cost more than the rest. */
const manual = { requireManualDestroy: true }

const AsyncResource: AsyncContextConstructor | undefined = (globalThis as {
  readonly process?: {
    readonly getBuiltinModule?: (name: string) => { readonly AsyncResource?: AsyncContextConstructor } | undefined
  }
}).process?.getBuiltinModule?.("node:async_hooks")?.AsyncResource

/** What stands in for a context where the platform has none. */
const none: AsyncContext = {
  runInAsyncScope: (f, thisArg, ...args) => Reflect.apply(f, thisArg, args),
  emitDestroy: () => undefined
}

/**
 * The context in which this very code runs.
 *
 * @internal
 */
export const capture: () => AsyncContext = AsyncResource === undefined
  ? () => none
  : () => new AsyncResource("Holdfast", manual)

/**
 * The context of no call: what serves the whole process is started in it, or the call that came first would live as long as that. A module
 * may be loaded within a request, so what the present stores hold is taken out.
 *
 * @internal
 */
export const ofProcess: AsyncContext = capture()

for (const key of Object.getOwnPropertySymbols(ofProcess)) {
  const fields = ofProcess as unknown as Record<symbol, unknown>
  // The identifiers of the resource itself are numbers in fields named after them; all others belong to stores.
  if (!(typeof fields[key] === "number" && /async_?id/i.test(key.description ?? ""))) {
    fields[key] = undefined
  }
}
