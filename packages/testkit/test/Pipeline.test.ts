import { assert, describe, it } from "@effect/vitest"
import * as Toxic from "@holdfast/testkit/Toxic"
import { Line } from "./support/line.js"

describe("the toxics, by a clock in the hand", () => {
  it("latency holds each part of the data as long as it says, and the end only behind the data", () => {
    const line = new Line()
    line.add(Toxic.latency({ latency: 100 }))
    line.write("a")
    line.time.advance(60)
    line.write("b")
    line.pipeline.end("half")
    line.time.advance(1000)
    assert.deepStrictEqual(line.out, [[100, "a"], [160, "b"], [160, "half"]])
    assert.strictEqual(line.time.waiting, 0)
  })

  it("jitter moves each part by at most itself and never turns the order", () => {
    const draws = [1, 0, 0.75]
    const line = new Line(() => draws.shift()!)
    line.add(Toxic.latency({ latency: 100, jitter: 100 }))
    line.write("late")
    line.write("early")
    line.time.advance(100)
    line.write("later")
    line.time.advance(1000)
    // Drawn: 200, 0 (not before the one in front), 150.
    assert.deepStrictEqual(line.out, [[200, "late"], [200, "early"], [250, "later"]])
  })

  it("two latencies add up", () => {
    const line = new Line()
    line.add(Toxic.latency({ latency: 100 }))
    line.add(Toxic.latency({ latency: 50, name: "second" }))
    line.write("a")
    line.time.advance(1000)
    assert.deepStrictEqual(line.out, [[150, "a"]])
  })

  it("bandwidth gives a flow and no late burst, and the rate holds over many writes", () => {
    const line = new Line()
    line.add(Toxic.bandwidth({ rate: 0.1 })) // 100 bytes a second: 10 bytes each 100 ms
    line.write("x".repeat(25))
    line.time.advance(1000)
    assert.deepStrictEqual(line.out.map(([at, data]) => [at, data.length]), [[100, 10], [200, 10], [250, 5]])
    for (let part = 0; part < 40; part++) line.write("y".repeat(5))
    line.time.advance(1999)
    assert.isBelow(line.count, 25 + 200)
    line.time.advance(2)
    assert.strictEqual(line.count, 25 + 200)
  })

  it("a bandwidth of nothing holds all and loses nothing", () => {
    const line = new Line()
    const slow = line.add(Toxic.bandwidth({ rate: 0 }))
    line.write("held")
    line.pipeline.end("half")
    line.time.advance(1e9)
    assert.deepStrictEqual(line.out, [])
    line.change(slow, { attributes: { rate: 1 } })
    line.time.advance(1e9)
    assert.deepStrictEqual(line.out.map(([, what]) => what), ["held", "half"])
  })

  it("slow_close holds nothing but the end", () => {
    const line = new Line()
    line.add(Toxic.slowClose({ delay: 500 }))
    line.write("a")
    line.time.advance(10)
    line.pipeline.end("half")
    line.time.advance(1000)
    assert.deepStrictEqual(line.out, [[0, "a"], [510, "half"]])
  })

  it("timeout throws data away and closes that long after it took hold, however chatty the peer is", () => {
    const line = new Line()
    line.time.advance(50)
    line.add(Toxic.timeout({ after: 100 }))
    for (let beat = 0; beat < 9; beat++) {
      line.write("lost")
      line.time.advance(10)
    }
    assert.deepStrictEqual(line.out, [])
    line.time.advance(1000)
    assert.deepStrictEqual(line.out, [[150, "close"]])
    assert.isTrue(line.pipeline.full())
  })

  it("timeout without a time keeps the connection open until it is removed, and then closes it", () => {
    const line = new Line()
    line.add(Toxic.timeout({ name: "hang" }))
    line.write("lost")
    line.time.advance(1e9)
    assert.deepStrictEqual(line.out, [])
    assert.strictEqual(line.pipeline.held, 0)
    line.pipeline.remove("hang")
    assert.deepStrictEqual(line.ends, ["close"])
  })

  it("timeout lets the end of a peer pass", () => {
    const line = new Line()
    line.add(Toxic.timeout({}))
    line.write("lost")
    line.pipeline.end("half")
    assert.deepStrictEqual(line.out, [[0, "half"]])
  })

  it("reset_peer resets at the first data, or that long after it, and the data is lost", () => {
    const at = (after: number) => {
      const line = new Line()
      line.add(Toxic.resetPeer({ after }))
      line.time.advance(1000)
      line.write("lost")
      line.time.advance(10)
      line.write("lost too")
      line.time.advance(1000)
      return line.out
    }
    assert.deepStrictEqual(at(0), [[1000, "reset"]])
    assert.deepStrictEqual(at(50), [[1050, "reset"]])
  })

  it("slicer cuts into slices of the size that it says, as far apart as it says", () => {
    let state = 1
    const line = new Line(() => (state = (state * 16807) % 2147483647) / 2147483647)
    line.add(Toxic.slicer({ averageSize: 10, sizeVariation: 5, delay: 2 }))
    const text = "0123456789".repeat(30)
    line.write(text)
    line.pipeline.end("half")
    line.time.advance(10_000)
    const slices = line.out.slice(0, -1)
    assert.strictEqual(slices.map(([, data]) => data).join(""), text)
    for (const [, data] of slices) assert.isAtMost(data.length, 15)
    assert.isAbove(line.drawn, 10)
    slices.forEach(([at], index) => assert.strictEqual(at, index * 2))
  })

  it("a slicer without delay and variation halves until it fits, at once", () => {
    const line = new Line()
    line.add(Toxic.slicer({ averageSize: 1 }))
    line.write("abc")
    assert.deepStrictEqual(line.out, [[0, "a"], [0, "b"], [0, "c"]])
    assert.strictEqual(line.drawn, 0)
  })

  it("a delay of microseconds holds on the whole, although timers know none", () => {
    const line = new Line()
    line.add(Toxic.slicer({ averageSize: 1, delay: 0.1 }))
    line.write("x".repeat(1000))
    line.time.advance(99)
    assert.isBelow(line.count, 1000)
    line.time.advance(2)
    assert.strictEqual(line.count, 1000)
  })

  it("limit_data closes behind the last byte that it allows", () => {
    const line = new Line()
    line.add(Toxic.limitData({ bytes: 5 }))
    line.write("abc")
    line.write("def")
    line.write("g")
    assert.deepStrictEqual(line.out, [[0, "abc"], [0, "de"], [0, "close"]])
    const exact = new Line()
    exact.add(Toxic.limitData({ bytes: 3 }))
    exact.write("abc")
    assert.deepStrictEqual(exact.out, [[0, "abc"], [0, "close"]])
    const none = new Line()
    none.add(Toxic.limitData({ bytes: 0 }))
    assert.deepStrictEqual(none.out, [])
    none.write("a")
    assert.deepStrictEqual(none.out, [[0, "close"]])
  })

  it("limit_data goes on counting when it is changed", () => {
    const line = new Line()
    const limit = line.add(Toxic.limitData({ bytes: 100 }))
    line.write("x".repeat(90))
    line.change(limit, { attributes: { bytes: 95 } })
    line.write("y".repeat(20))
    assert.strictEqual(line.count, 95)
    assert.deepStrictEqual(line.ends, ["close"])
  })

  it("what closes a connection is itself held up by the toxics behind it", () => {
    const line = new Line()
    line.add(Toxic.limitData({ bytes: 3 }))
    line.add(Toxic.latency({ latency: 100 }))
    line.add(Toxic.slowClose({ delay: 50 }))
    line.write("abcdef")
    line.time.advance(1000)
    assert.deepStrictEqual(line.out, [[100, "abc"], [150, "close"]])
  })
})

describe("Pipeline", () => {
  it("without toxics it is a wire", () => {
    const line = new Line()
    line.write("a")
    line.pipeline.end("half")
    assert.deepStrictEqual(line.out, [[0, "a"], [0, "half"]])
  })

  it("a full outlet holds back the inlet, and all goes on in order when it has room", () => {
    const line = new Line()
    line.full = true
    assert.isTrue(line.pipeline.full())
    line.add(Toxic.slicer({ averageSize: 1000, sizeVariation: 0 }))
    assert.isFalse(line.pipeline.full())
    line.write("a".repeat(40_000))
    assert.isFalse(line.pipeline.full())
    line.write("b".repeat(40_000))
    assert.isTrue(line.pipeline.full())
    assert.deepStrictEqual([line.out.length, line.pipeline.held], [0, 80_000])
    const before = line.roomAgain
    line.drain()
    assert.strictEqual(line.out.map(([, data]) => data).join(""), "a".repeat(40_000) + "b".repeat(40_000))
    assert.deepStrictEqual([line.pipeline.full(), line.pipeline.held], [false, 0])
    assert.isAbove(line.roomAgain, before)
  })

  it("back-pressure passes through every toxic of a chain", () => {
    const line = new Line()
    line.add(Toxic.slicer({ averageSize: 20_000, name: "one" }))
    line.add(Toxic.bandwidth({ rate: 1000, name: "two" }))
    line.add(Toxic.slowClose({ delay: 1, name: "three" }))
    line.full = true
    let written = 0
    while (!line.pipeline.full()) {
      line.write("x".repeat(10_000))
      line.time.advance(100)
      written += 10_000
      assert.isBelow(written, 1_000_000)
    }
    assert.strictEqual(line.pipeline.held, written)
    assert.isAbove(written, 150_000)
    line.drain()
    line.time.advance(10_000)
    assert.deepStrictEqual([line.count, line.pipeline.held], [written, 0])
    assert.isAbove(line.roomAgain, 0)
  })

  it("latency limits the delay and not the rate, until what is under way is too much", () => {
    const line = new Line()
    line.add(Toxic.latency({ latency: 1000 }))
    const chunk = Buffer.alloc(1024 * 1024)
    for (let part = 0; part < 32; part++) {
      assert.isFalse(line.pipeline.full())
      line.pipeline.write(chunk)
    }
    assert.isTrue(line.pipeline.full())
  })

  it("what waits in a toxic passes at once when it is removed, before what comes after", () => {
    const line = new Line()
    line.add(Toxic.latency({ latency: 1000, name: "slow" }))
    line.write("a")
    line.write("b")
    line.pipeline.remove("slow")
    line.write("c")
    assert.deepStrictEqual(line.out, [[0, "a"], [0, "b"], [0, "c"]])
    assert.strictEqual(line.time.waiting, 0)
  })

  it("a toxic that is removed while the outlet is full keeps its place until it is empty", () => {
    const line = new Line()
    line.add(Toxic.latency({ latency: 1000, name: "slow" }))
    line.write("a")
    line.full = true
    line.pipeline.remove("slow")
    line.pipeline.remove("slow")
    line.write("b")
    assert.deepStrictEqual(line.out, [])
    // Meanwhile another one of the same name.
    line.add(Toxic.latency({ latency: 10, name: "slow" }))
    line.drain()
    line.time.advance(10)
    line.write("c")
    line.time.advance(10)
    assert.deepStrictEqual(line.out.map(([at, data]) => `${data}${at}`), ["a10", "b10", "c20"])
  })

  it("what waits is planned anew when the toxic is changed", () => {
    const line = new Line()
    const slow = line.add(Toxic.latency({ latency: 1000 }))
    line.write("a")
    line.time.advance(100)
    line.change(slow, { attributes: { latency: 300 } })
    line.time.advance(1000)
    assert.deepStrictEqual(line.out, [[300, "a"]])
  })

  it("a toxic that touches a connection no more lets it go: what waited passes, what lost data closes", () => {
    const line = new Line()
    line.add(Toxic.latency({ latency: 1000, name: "slow" }))
    line.write("a")
    line.pipeline.change("slow", undefined)
    assert.deepStrictEqual(line.out, [[0, "a"]])
    const hanging = new Line()
    hanging.add(Toxic.timeout({ name: "hang" }))
    hanging.pipeline.change("hang", undefined)
    assert.deepStrictEqual(hanging.ends, ["close"])
  })

  it("an inlet that a toxic held back is free again when the toxic is changed to one with more room", () => {
    const line = new Line()
    const held = line.add(Toxic.bandwidth({ rate: 0 }))
    line.write("x".repeat(70_000))
    assert.isTrue(line.pipeline.full())
    line.pipeline.change(held.name, undefined)
    assert.isFalse(line.pipeline.full())
    assert.isAbove(line.roomAgain, 0)
  })

  it("an inlet held back by a toxic that did not touch it is free when a latency takes hold, which has more room", () => {
    const line = new Line()
    const slow = line.add(Toxic.latency({ latency: 10 }))
    line.pipeline.change(slow.name, undefined)
    line.full = true
    line.write("x".repeat(70_000))
    assert.isTrue(line.pipeline.full())
    const before = line.roomAgain
    line.change(slow, {})
    assert.isFalse(line.pipeline.full())
    assert.isAbove(line.roomAgain, before)
  })

  it("what waited in front of a toxic that goes is not forgotten when its line is empty at last", () => {
    const line = new Line()
    line.add(Toxic.slicer({ averageSize: 100_000, name: "first" }))
    line.add(Toxic.bandwidth({ rate: 0, name: "second" }))
    line.write("a".repeat(70_000))
    line.write("b".repeat(10_000))
    line.full = true
    line.pipeline.remove("second")
    assert.strictEqual(line.count, 0)
    line.drain()
    assert.strictEqual(line.count, 80_000)
    // And so the inlet, where the one that goes was the first.
    const inlet = new Line()
    inlet.add(Toxic.bandwidth({ rate: 0, name: "only" }))
    inlet.write("a".repeat(70_000))
    inlet.full = true
    inlet.pipeline.remove("only")
    const before = inlet.roomAgain
    inlet.drain()
    assert.deepStrictEqual([inlet.count, inlet.roomAgain > before], [70_000, true])
  })

  it("half closed may still be closed, and closed be reset, each once", () => {
    const line = new Line()
    line.add(Toxic.slowClose({ delay: 10 }))
    for (const how of ["half", "half", "close", "reset", "close", "reset"] as const) {
      line.pipeline.end(how)
      line.time.advance(10)
    }
    assert.deepStrictEqual(line.ends, ["half", "close", "reset"])
  })

  it("a toxic that comes when the stream has ended does nothing", () => {
    const line = new Line()
    line.pipeline.end("half")
    line.add(Toxic.timeout({ after: 10 }))
    line.time.advance(100)
    assert.deepStrictEqual(line.ends, ["half"])
  })

  it("once stopped it keeps no alarm", () => {
    const line = new Line()
    line.add(Toxic.latency({ latency: 1000 }))
    line.add(Toxic.timeout({ after: 1000 }))
    line.write("a")
    assert.strictEqual(line.time.waiting, 2)
    line.pipeline.stop()
    assert.strictEqual(line.time.waiting, 0)
  })
})
