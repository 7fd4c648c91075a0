import { existsSync, readFileSync } from "node:fs"

/**
 * A clock that a test sets: preloaded into a process with `--import <this file>?<path>`, it moves `Date` by the milliseconds that
 * the file at that path holds. Timers and `performance` go on as ever, as the kernel's monotonic clock does.
 */

const file = decodeURIComponent(new URL(import.meta.url).search.slice(1))
let offset = 0
setInterval(() => {
  if (existsSync(file)) offset = Number(readFileSync(file, "utf8"))
}, 100).unref()

const { now } = Date
const shifted = () => now() + offset
globalThis.Date = new Proxy(Date, {
  construct: (target, parameters, self) =>
    Reflect.construct(target, parameters.length === 0 ? [shifted()] : parameters, self) as object,
  apply: (target) => new target(shifted()).toString(),
  get: (target, property, receiver) =>
    property === "now" ? shifted : (Reflect.get(target, property, receiver) as unknown)
})
