/**
 * One group, once, in a process of its own: what one group teaches the compiler must not favour the next.
 */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Result, Settings } from "./Group.js"

export const runOnce = (name: string, settings: Settings): Promise<Result> =>
  new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL("child.js", import.meta.url)), {
      execArgv: ["--expose-gc", "--conditions=built"],
      serialization: "json"
    })
    let result: Result | undefined
    child.once("message", (message) => {
      result = message as Result
    })
    child.once("error", reject)
    child.once("exit", (code) => {
      if (result === undefined) {
        reject(new Error(`the process of ${name} ended with ${code} and no result`))
      } else {
        resolve(result)
      }
    })
    child.send({ name, settings })
  })
