import type { Client, Submittable } from "pg"

/** What an `active query` of the pg client has to answer to; the types of pg name only `submit`. */
interface CopyConnection {
  readonly stream: NodeJS.WritableStream
  query: (text: string) => void
  sendCopyFromChunk: (chunk: Uint8Array) => void
  endCopyFrom: () => void
}

/** `COPY … FROM STDIN` fed as fast as the socket takes it: the most PostgreSQL can do with rows that are already encoded. */
class CopyIn implements Submittable {
  readonly done: Promise<void>
  readonly #statement: string
  readonly #chunks: Iterable<Uint8Array>
  #resolve!: () => void
  #reject!: (error: Error) => void
  #error: Error | undefined

  constructor(statement: string, chunks: Iterable<Uint8Array>) {
    this.#statement = statement
    this.#chunks = chunks
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  submit(connection: unknown) {
    ;(connection as CopyConnection).query(this.#statement)
  }

  handleCopyInResponse(connection: CopyConnection) {
    void this.#feed(connection).catch((error: Error) => {
      this.#error ??= error
      connection.endCopyFrom()
    })
  }

  async #feed(connection: CopyConnection) {
    const { stream } = connection
    for (const chunk of this.#chunks) {
      connection.sendCopyFromChunk(chunk)
      if (stream.writable && "writableNeedDrain" in stream && stream.writableNeedDrain) {
        await new Promise((resolve) => stream.once("drain", resolve))
      }
    }
    connection.endCopyFrom()
  }

  handleCommandComplete() {}

  handleError(error: Error) {
    this.#error = error
  }

  handleReadyForQuery() {
    if (this.#error) this.#reject(this.#error)
    else this.#resolve()
  }
}

const signature = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1")
const trailer = Buffer.from([0xff, 0xff])

/**
 * Sends tuples of the binary COPY format, without header and trailer, in one COPY.
 *
 * @param statement a `COPY … FROM STDIN (FORMAT binary)`
 */
export const copyTuples = (client: Client, statement: string, tuples: ReadonlyArray<Uint8Array>): Promise<void> =>
  client.query(new CopyIn(statement, [signature, ...tuples, trailer])).done
