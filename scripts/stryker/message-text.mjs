/**
 * Tells Stryker to leave the words of messages alone: no test should pin a sentence. Every other string is mutated, since
 * in a machine it is a state, a reason or a tag.
 */

/** Properties whose value is a sentence for people. */
const sentences = new Set(["message", "because", "instead", "description", "allowed"])

const isSentence = (path) => {
  const { node, parent } = path
  if (node.type !== "StringLiteral" && node.type !== "TemplateLiteral") return false
  switch (parent?.type) {
    case "NewExpression":
      return /(Error|Exception)$/.test(parent.callee.name ?? "") && parent.arguments[0] === node
    case "ObjectProperty":
      return parent.value === node && sentences.has(parent.key.name ?? parent.key.value)
    default:
      return false
  }
}

export const strykerPlugins = [{
  kind: "Ignore",
  name: "message-text",
  value: {
    shouldIgnore: (path) => isSentence(path) ? "the words of a message" : undefined
  }
}]
