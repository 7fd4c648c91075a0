/** Numbers that look random and follow from a seed alone; mulberry32. */
export class Random {
  #state: number

  /** @param seed any number; two seeds give two sequences for the same `run` */
  constructor(seed: number, run: number) {
    this.#state = (Math.imul(seed, 0x85ebca6b) ^ Math.imul(run + 1, 0x9e3779b1)) | 0
  }

  /** 0 to 2^32 - 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  /** 0 to `limit` - 1. */
  below(limit: number): number {
    return this.next() % limit
  }

  /** One of a list that is not empty. */
  of<A>(list: ReadonlyArray<A>): A {
    return list[this.below(list.length)]!
  }
}
