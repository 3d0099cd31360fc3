/**
 * A `Ref` over a cell that synchronous code reads and writes too.
 */
import type * as Effect from "effect/Effect"
import * as Core from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Readable from "effect/Readable"
import * as Ref from "effect/Ref"

class CellRef<A> extends Effectable.Class<A> implements Ref.Ref<A> {
  readonly [Ref.RefTypeId] = { _A: (_: any) => _ }
  readonly [Readable.TypeId]: Readable.TypeId = Readable.TypeId
  readonly get: Effect.Effect<A>
  private readonly read: () => A
  private readonly write: (value: A) => void

  constructor(read: () => A, write: (value: A) => void) {
    super()
    this.read = read
    this.write = write
    this.get = Core.sync(read)
  }

  commit(): Effect.Effect<A> {
    return this.get
  }

  modify<B>(f: (a: A) => readonly [B, A]): Effect.Effect<B> {
    return Core.sync(() => {
      const [result, next] = f(this.read())
      this.write(next)
      return result
    })
  }
}

/** @internal */
export const refOver = <A>(read: () => A, write: (value: A) => void): Ref.Ref<A> => new CellRef(read, write)
