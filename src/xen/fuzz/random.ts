/** The fuzzer's own generator (xorshift32): what is tried follows from a seed alone. */
export class Random {
  state: number;

  constructor(seed: number) {
    // Neighbouring seeds must not begin alike.
    let mixed = Math.imul(seed ^ (seed >>> 16), 0x45d9f3b);
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b);
    this.state = (mixed ^ (mixed >>> 16) ^ 0x9e37_79b9) >>> 0 || 1;
  }
  /** Unsigned, 32 bits. */
  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state;
  }
  below(n: number): number {
    return this.next() % n;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  pick<T>(list: ArrayLike<T>): T {
    return list[this.below(list.length)] as T;
  }
}
