/**
 * The groups in the order in which they are run and printed.
 */
import type { Group } from "./Group.js"
import { group as attempts } from "./groups/attempts.js"
import { group as callers } from "./groups/callers.js"
import { group as flight } from "./groups/flight.js"
import { group as gates } from "./groups/gates.js"
import { group as guard, stores } from "./groups/guard.js"
import { group as http } from "./groups/http.js"
import { group as keys } from "./groups/keys.js"
import { group as parts } from "./groups/parts.js"
import { group as queue } from "./groups/queue.js"
import { group as rejected } from "./groups/rejected.js"
import { fibers, promises, stack } from "./groups/stack.js"
import { group as windows } from "./groups/windows.js"

export const groups: ReadonlyArray<Group> = [
  stack,
  fibers,
  promises,
  parts,
  callers,
  gates,
  rejected,
  attempts,
  windows,
  keys,
  flight,
  queue,
  http,
  guard,
  stores
]
