/**
 * Time is read from Effect's `Clock`, and waits go through the alarm queue: one file knows the live clock.
 */
import { forEachGlobal, isGlobalNamed, onModuleName, propertyName } from "./references.mjs"

const timers = new Set(["setTimeout", "setInterval", "setImmediate"])
const timeModules = new Set(["timers", "timers/promises", "perf_hooks"])
const equality = new Set(["==", "===", "!=", "!=="])

/** The last name of an expression, if it is a clock by name: `clock`, `frame.clock`, `liveClock`. */
const clockName = (expression) => {
  const name = expression.type === "Identifier"
    ? expression.name
    : expression.type === "MemberExpression"
    ? propertyName(expression.property, expression.computed)
    : undefined
  return name !== undefined && /clock$/i.test(name) ? name : undefined
}

/** `null`, `undefined`, `typeof` and literals: to ask whether a clock is there, or for a word, is not to compare clocks. */
const isNoClock = (expression) =>
  expression.type === "Literal" ||
  (expression.type === "Identifier" && expression.name === "undefined") ||
  (expression.type === "UnaryExpression" && (expression.operator === "void" || expression.operator === "typeof"))

/** @type {import("eslint").Rule.RuleModule} */
export default {
  meta: {
    type: "problem",
    docs: { description: "No live time outside the alarm queue, and no branch on which clock is in use" },
    schema: [],
    messages: {
      reading:
        "{{name}} is the live time whatever clock the program runs under, so a test clock cannot move it. Read " +
        "`Clock` from Effect, or the frame's clock reading.",
      timer:
        "{{name}} wakes by the live clock, so a test clock cannot move it, and a timer per call keeps the process " +
        "alive. Set an alarm with the alarm queue (Alarm.ts), the one place that knows the live clock.",
      comparison:
        "Comparing {{name}} makes code that only one of production and tests runs. Only Alarm.ts may ask which " +
        "clock it is; ask the clock for its time, or the alarm queue for a wake-up."
    }
  },
  create: (context) => {
    const { sourceCode } = context
    const compared = (node, expressions) => {
      if (expressions.some(isNoClock)) return
      const name = expressions.map(clockName).find((found) => found !== undefined)
      if (name !== undefined) context.report({ node, messageId: "comparison", data: { name } })
    }
    return {
      ...onModuleName((node, source) => {
        if (timeModules.has(source.replace(/^node:/, ""))) {
          context.report({ loc: node.loc, messageId: "timer", data: { name: `"${source}"` } })
        }
      }),
      NewExpression: (node) => {
        if (isGlobalNamed(sourceCode, node.callee, "Date") && node.arguments.length === 0) {
          context.report({ node, messageId: "reading", data: { name: "new Date()" } })
        }
      },
      CallExpression: (node) => {
        if (isGlobalNamed(sourceCode, node.callee, "Date")) {
          context.report({ node, messageId: "reading", data: { name: "Date()" } })
        }
        const { callee } = node
        if (
          callee.type === "MemberExpression" && callee.object.type === "Identifier" &&
          callee.object.name === "Object" &&
          propertyName(callee.property, callee.computed) === "is"
        ) {
          compared(node, node.arguments)
        }
      },
      MemberExpression: (node) => {
        const name = propertyName(node.property, node.computed)
        if (name === "now" && isGlobalNamed(sourceCode, node.object, "Date")) {
          context.report({ node, messageId: "reading", data: { name: "Date.now" } })
        }
        if (name === "now" && isGlobalNamed(sourceCode, node.object, "performance")) {
          context.report({ node, messageId: "reading", data: { name: "performance.now" } })
        }
        if (name === "hrtime" && isGlobalNamed(sourceCode, node.object, "process")) {
          context.report({ node, messageId: "reading", data: { name: "process.hrtime" } })
        }
      },
      BinaryExpression: (node) => {
        if (equality.has(node.operator)) compared(node, [node.left, node.right])
        if (node.operator === "instanceof") compared(node, [node.left])
      },
      SwitchStatement: (node) => compared(node, [node.discriminant]),
      "Program:exit": () => {
        forEachGlobal(sourceCode, timers, (node, name) => {
          context.report({ node, messageId: "timer", data: { name } })
        })
      }
    }
  }
}
