import type { Socket } from "node:net"

/** How a network treats the bytes of a connection. Unset: as the loopback does. */
export interface Weather {
  /** Added to the way of every chunk. */
  readonly latencyMillis?: number
  /** The latency varies by so much up and down; bytes stay in order. */
  readonly jitterMillis?: number
  /** Of each direction of each connection. */
  readonly bytesPerSecond?: number
  /** Chunks are cut into pieces of so many bytes, a millisecond apart. */
  readonly sliceBytes?: number
  /**
   * Bytes of this direction wait until the weather changes, without an end or an error: packets are lost on the way, and TCP
   * sends them again for as long as it takes.
   */
  readonly hold?: "up" | "down" | "both"
}

/** One direction of a connection. */
export interface Pipe {
  readonly push: (chunk: Buffer) => void
  /** The weather has changed. */
  readonly look: () => void
}

/** What waits on the way before the sender has to wait too, as in the buffers of a real network. */
const mostUnderWay = 262_144

/** Carries bytes between two sockets, in order, each when the weather lets it through. */
export const makePipe = (
  direction: "up" | "down",
  from: Socket,
  to: Socket,
  weather: () => Weather,
  random: () => number
): Pipe => {
  const underWay: Array<{ readonly piece: Buffer; readonly due: number }> = []
  let bytes = 0
  let lastDue = 0
  let timer: NodeJS.Timeout | undefined

  const settle = () => {
    if (bytes > mostUnderWay || to.writableNeedDrain) from.pause()
    else from.resume()
  }
  to.on("drain", settle)

  const send = () => {
    clearTimeout(timer)
    timer = undefined
    const { hold } = weather()
    if (hold === direction || hold === "both") return settle()
    while (underWay.length > 0 && !to.destroyed) {
      const wait = underWay[0]!.due - performance.now()
      if (wait > 0) {
        timer = setTimeout(send, wait)
        break
      }
      const { piece } = underWay.shift()!
      bytes -= piece.length
      to.write(piece)
    }
    settle()
  }

  const enqueue = (piece: Buffer, gapMillis: number) => {
    const { latencyMillis = 0, jitterMillis = 0, bytesPerSecond = Infinity } = weather()
    const arrival = performance.now() + Math.max(0, latencyMillis + jitterMillis * (2 * random() - 1))
    const due = Math.max(arrival, lastDue) + gapMillis + (piece.length / bytesPerSecond) * 1000
    lastDue = due
    underWay.push({ piece, due })
    bytes += piece.length
  }

  return {
    push: (chunk) => {
      const { sliceBytes = chunk.length } = weather()
      for (let at = 0; at < chunk.length; at += sliceBytes) {
        enqueue(chunk.subarray(at, at + sliceBytes), at === 0 ? 0 : 1)
      }
      send()
    },
    look: send
  }
}
