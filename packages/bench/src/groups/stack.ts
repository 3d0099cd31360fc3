import { fiveByHand, oneFinalizer } from "../contenders/effects.js"
import { five, standard } from "../contenders/holdfast.js"
import { cockatielFive, mollitiaFive, opossumFour } from "../contenders/promises.js"
import { type Group, perCall, type Result } from "../Group.js"
import { type Contender, measure } from "../measure.js"
import * as styles from "../styles.js"

type EffectStyle = (title: string, call: () => ReturnType<ReturnType<typeof five>>) => Contender
type PromiseStyle = (title: string, call: () => Promise<unknown>) => Contender

/** Everybody's stack around one operation. */
const everybody = (operation: styles.Operation, run: EffectStyle, wait: PromiseStyle): ReadonlyArray<Contender> => {
  const ours = { five: five(`five ${operation.title}`), standard: standard(`standard ${operation.title}`) }
  const byHand = fiveByHand()
  const peers = {
    "cockatiel": cockatielFive(true),
    "cockatiel, abortOnReturn false": cockatielFive(false),
    "opossum": opossumFour(),
    "mollitia": mollitiaFive()
  }
  return [
    run(styles.bareEffect, operation.effect),
    run("five", () => ours.five(operation.effect())),
    run("standard", () => ours.standard(operation.effect())),
    run("built-ins", () => byHand(operation.effect())),
    run("onExit", () => oneFinalizer(operation.effect())),
    wait(styles.barePromise, async () => operation.promise()),
    ...Object.entries(peers).map(([title, call]) => wait(title, () => call(operation.promise)))
  ]
}

const inStyle = (name: string, title: string, run: EffectStyle, wait: PromiseStyle, mostRounds = Infinity): Group => ({
  name,
  title,
  columns: perCall,
  run: async (settings) => {
    const rounds = Math.min(settings.rounds, mostRounds)
    const result: Record<string, Result[string]> = {}
    for (const operation of styles.operations) {
      result[operation.title] = await measure(everybody(operation, run, wait), { ...settings, rounds })
    }
    return result
  }
})

export const stack = inStyle(
  "stack",
  "the whole stack around one operation, one call after the other in one fiber",
  styles.inOneFiber,
  styles.awaited
)

export const fibers = inStyle(
  "fibers",
  "the whole stack, 1,000 calls at once, each in a fiber of its own",
  styles.inManyFibers,
  styles.awaitedTogether,
  // A round is 3,000 calls of everybody.
  11
)

export const promises = inStyle(
  "promises",
  "the whole stack, one runPromise per call",
  styles.runOneByOne,
  styles.awaited
)
