/**
 * The server of the HTTP benchmark, in a process of its own: a small JSON answer to everything, without saying
 * how long it is where `/parts` is asked for. Tells its port over its channel.
 */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

const body = JSON.stringify({ id: 7, state: "charged", amount: 1999, currency: "EUR" })

const server = Http.createServer((request, response) => {
  request.resume()
  const length = request.url === "/parts" ? {} : { "content-length": Buffer.byteLength(body) }
  response.writeHead(200, { "content-type": "application/json", ...length })
  response.end(body)
})

server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port))
process.once("disconnect", () => process.exit(0))
