import type { TableLine } from "./table.ts"

/** Where the platform talks to a person: lines that stay, and below them a table that is always the newest. */
export interface Screen {
  /** A line that stays. */
  readonly print: (text: string) => void
  readonly show: (table: ReadonlyArray<TableLine>) => void
  /** Leaves the table as it is; nothing is drawn from then on. */
  readonly close: () => void
}

const colors = { header: "1", good: "0", bad: "33", detail: "33" } as const

const hideCursor = "\x1b[?25l"
const showCursor = "\x1b[?25h"
const clearToEnd = "\x1b[0J"
const clearLine = "\x1b[2K"
const up = (lines: number) => (lines > 0 ? `\x1b[${lines}F` : "")

/** Draws over the last table in one write, line by line, so that nothing flickers. */
const terminal = (output: NodeJS.WriteStream): Screen => {
  const color = process.env["NO_COLOR"] === undefined
  let table: ReadonlyArray<TableLine> = []
  /** Lines on the screen below the last line that stays. */
  let drawn = 0
  let closed = false

  const paint = ({ text, tone }: TableLine) => {
    // A line that wraps would be two, and the next table drawn one line too low.
    const width = output.columns || 80 // 0 where the terminal does not tell
    const cut = text.length < width ? text : `${text.slice(0, width - 2)}…`
    return color ? `\x1b[${colors[tone]}m${cut}\x1b[0m` : cut
  }
  const draw = (kept: ReadonlyArray<string>) => {
    if (closed) return
    const visible = table.slice(0, Math.max(1, (output.rows || 24) - 2))
    const lines = table.length === 0 ? kept : [...kept, "", ...visible.map(paint)]
    // A line that stays may wrap onto the old table; the table alone is drawn over line by line.
    const start = kept.length > 0 ? up(drawn) + clearToEnd : up(drawn)
    output.write(start + lines.map((line) => `${clearLine}${line}\n`).join("") + clearToEnd)
    drawn = lines.length - kept.length
  }
  const redraw = () => draw([])
  const restore = () => void output.write(showCursor)
  output.write(hideCursor)
  process.once("exit", restore)
  output.on("resize", redraw)
  return {
    print: (text) => draw(text.split("\n")),
    show: (next) => {
      table = next
      redraw()
    },
    close: () => {
      closed = true
      output.off("resize", redraw)
      process.off("exit", restore)
      restore()
    }
  }
}

/** Into a pipe or file: the header once, then every line that changed, as `kubectl get --watch` does. */
const stream = (output: NodeJS.WritableStream): Screen => {
  const printed = new Map<string, string>()
  return {
    print: (text) => void output.write(`${text}\n`),
    show: (table) => {
      for (const { key, text, tone } of table) {
        if (tone === "header" ? printed.has(key) : printed.get(key) === text) continue
        printed.set(key, text)
        output.write(`${text}\n`)
      }
    },
    close: () => {}
  }
}

export const openScreen = (output: NodeJS.WriteStream): Screen => (output.isTTY ? terminal(output) : stream(output))
