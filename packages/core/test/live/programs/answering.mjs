/** An HTTP server on a thread of its own: it says its port, then that a request is there, and answers when the flag is set. */
import * as Http from "node:http"
import { parentPort, workerData } from "node:worker_threads"

const { answers, flags } = workerData

const server = Http.createServer((_, response) => {
  parentPort.postMessage("came")
  Atomics.wait(flags, 0, 0)
  if (answers) {
    response.end("answer", () => {
      Atomics.store(flags, 1, 1)
      Atomics.notify(flags, 1)
    })
  }
})

server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port))
