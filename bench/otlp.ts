import { randomIntegers } from "../testing/random.ts"

/** OTLP metrics as an OpenTelemetry SDK exports them, in protobuf. Field numbers are those of the OTLP specification. */

/** Appends to a list of bytes; messages of this size need nothing faster. */
class Message {
  readonly #parts: Array<Uint8Array> = []

  #varint(value: number): void {
    const bytes: Array<number> = []
    for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128)
    this.#parts.push(Uint8Array.from([...bytes, value]))
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType)
  }

  number(field: number, value: number): this {
    this.#tag(field, 0)
    this.#varint(value)
    return this
  }

  fixed64(field: number, value: bigint): this {
    this.#tag(field, 1)
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64LE(value)
    this.#parts.push(bytes)
    return this
  }

  double(field: number, value: number): this {
    this.#tag(field, 1)
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleLE(value)
    this.#parts.push(bytes)
    return this
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, 2)
    this.#varint(value.length)
    this.#parts.push(value)
    return this
  }

  text(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value))
  }

  message(field: number, value: Message): this {
    return this.bytes(field, value.finish())
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#parts)
  }
}

const keyValue = (key: string, value: string | number) =>
  new Message()
    .text(1, key)
    .message(2, typeof value === "string" ? new Message().text(1, value) : new Message().number(3, value))

const methods = ["GET", "POST", "PUT", "DELETE"]
const statuses = [200, 201, 404, 500]

/** Data points of one request. */
export const pointsPerRequest = 10

/** 2026-01-01T00:00:00Z in nanoseconds. */
const firstNanos = 1_767_225_600_000_000_000n

/**
 * Requests of one resource with one scope and one gauge of {@link pointsPerRequest} points, each with four attributes: about
 * 1,450 bytes. Points are a millisecond apart.
 */
export function* metricRequests(count: number, seed = 1): Generator<Uint8Array> {
  const random = randomIntegers(seed)
  let nanos = firstNanos
  for (let index = 0; index < count; index++) {
    const gauge = new Message()
    for (let point = 0; point < pointsPerRequest; point++) {
      nanos += 1_000_000n
      gauge.message(
        1,
        new Message()
          .fixed64(3, nanos)
          .double(4, (random() % 1_000_000) / 1000)
          .message(7, keyValue("http.method", methods[random() % methods.length]!))
          .message(7, keyValue("http.route", `/api/v1/devices/{id}/${random() % 100}`))
          .message(7, keyValue("http.status_code", statuses[random() % statuses.length]!))
          .message(7, keyValue("component", "gateway"))
      )
    }
    const metric = new Message().text(1, "http.server.duration").text(3, "ms").message(5, gauge)
    const scope = new Message().text(1, "serviceradar.http").text(2, "1.0")
    const resource = new Message().message(1, keyValue("service.name", `serviceradar-core-${random() % 40}`))
    yield new Message()
      .message(1, new Message().message(1, resource).message(2, new Message().message(1, scope).message(2, metric)))
      .finish()
  }
}
