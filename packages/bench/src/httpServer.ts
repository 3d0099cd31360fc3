/**
 * The server of the HTTP benchmark, in a process of its own: a small JSON answer to everything. Tells its port over its channel.
 */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

const body = JSON.stringify({ id: 7, state: "charged", amount: 1999, currency: "EUR" })

const server = Http.createServer((request, response) => {
  request.resume()
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
  response.end(body)
})

server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port))
process.once("disconnect", () => process.exit(0))
