/**
 * LZMA, the coding inside .lzma, .xz and many kernels' bzImages ("LZMA specification", I. Pavlov, public domain): a
 * range coder over adaptive bit probabilities; literals, matches, and repeats of the last four distances. The output
 * itself is the dictionary, since all of it is kept.
 */

/** Says what is wrong with the packed bytes. */
export class DamagedLzma extends Error {}

const KIND_STATES = 12;
const POSITION_STATES = 16;
const PROB_HALF = 1024;
const PROB_BITS = 11;
const PROB_MOVE = 5;
const RANGE_TOP = 2 ** 24;
const SHORTEST_MATCH = 2;

// --- places in the table of probabilities
const IS_MATCH = 0;
const IS_REP = IS_MATCH + KIND_STATES * POSITION_STATES;
const IS_REP_G0 = IS_REP + KIND_STATES;
const IS_REP_G1 = IS_REP_G0 + KIND_STATES;
const IS_REP_G2 = IS_REP_G1 + KIND_STATES;
const IS_REP0_LONG = IS_REP_G2 + KIND_STATES;
const SLOT = IS_REP0_LONG + KIND_STATES * POSITION_STATES;
const SLOT_CLASSES = 4;
const SPECIAL = SLOT + SLOT_CLASSES * 64;
const ALIGN = SPECIAL + 128;
const MATCH_LENGTH = ALIGN + 16;
/** Of a length coder: two choices, then three trees. */
const LENGTH_LOW = 2;
const LENGTH_MIDDLE = LENGTH_LOW + POSITION_STATES * 8;
const LENGTH_HIGH = LENGTH_MIDDLE + POSITION_STATES * 8;
const LENGTH_SIZE = LENGTH_HIGH + 256;
const REP_LENGTH = MATCH_LENGTH + LENGTH_SIZE;
const LITERAL = REP_LENGTH + LENGTH_SIZE;
const LITERAL_SIZE = 0x300;
/** lc + lp is at most 12 in .lzma files (4 in .xz). */
const LITERAL_CONTEXT_BITS = 12;

export class LzmaDecoder {
  readonly #input: Uint8Array;
  /** Grows as needed up to `limit`. */
  output: Uint8Array;
  /** Bytes of the output so far. */
  length = 0;
  readonly #limit: number;
  #at = 0;
  #end = 0;
  #range = 0;
  #code = 0;
  /** Matches reach back to here. */
  #dictionaryStart = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  #lc = 0;
  #lpMask = 0;
  #pbMask = 0;
  #probs = new Uint16Array(0);

  /** @param size of the output, as far as it is known. @param limit more than that is damage. */
  constructor(input: Uint8Array, size: number, limit: number) {
    this.#input = input;
    this.output = new Uint8Array(size);
    this.#limit = limit;
  }

  /** @param properties (pb * 5 + lp) * 9 + lc */
  setProperties(properties: number): void {
    if (properties >= 9 * 5 * 5) throw new DamagedLzma(`${properties} is no LZMA property byte`);
    this.#lc = properties % 9;
    const lp = Math.floor(properties / 9) % 5;
    this.#lpMask = (1 << lp) - 1;
    this.#pbMask = (1 << Math.floor(properties / 45)) - 1;
    if (this.#lc + lp > LITERAL_CONTEXT_BITS) throw new DamagedLzma('impossible literal contexts');
    this.#probs = new Uint16Array(LITERAL + LITERAL_SIZE * (1 << (this.#lc + lp)));
    this.resetState();
  }

  resetState(): void {
    this.#probs.fill(PROB_HALF);
    this.#state = 0;
    this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
  }

  resetDictionary(): void {
    this.#dictionaryStart = this.length;
  }

  get hasProperties(): boolean {
    return this.#probs.length > 0;
  }

  /** A piece of the input that was not compressed (LZMA2). */
  copy(from: number, size: number): void {
    this.#room(size);
    this.output.set(this.#input.subarray(from, from + size), this.length);
    this.length += size;
  }

  /**
   * Decodes input[from, end) until `size` more bytes are there; -1: until its end mark.
   * @returns where the input was read up to.
   */
  run(from: number, end: number, size: number): number {
    this.#start(from, end);
    const until = size < 0 ? Number.POSITIVE_INFINITY : this.length + size;
    while (this.length < until) {
      if (!this.#step(until)) {
        if (size >= 0) throw new DamagedLzma('it ends too early');
        break;
      }
    }
    return this.#at;
  }

  #start(from: number, end: number): void {
    if (from + 5 > end || this.#input[from] !== 0) throw new DamagedLzma('the range coder has no start');
    this.#at = from + 1;
    this.#end = end;
    this.#range = 0xffff_ffff;
    this.#code = 0;
    for (let i = 0; i < 4; i++) this.#code = (this.#code * 256 + this.#input[this.#at++]!) >>> 0;
  }

  #room(size: number): void {
    const needed = this.length + size;
    if (needed <= this.output.length) return;
    if (needed > this.#limit) throw new DamagedLzma(`it unpacks to more than ${this.#limit} bytes`);
    const larger = new Uint8Array(Math.min(this.#limit, Math.max(needed, this.output.length * 2, 65536)));
    larger.set(this.output.subarray(0, this.length));
    this.output = larger;
  }

  /** One literal or match. @returns false at the end mark. */
  #step(until: number): boolean {
    const position = this.length - this.#dictionaryStart;
    const posState = position & this.#pbMask;
    const state = this.#state;
    if (this.#bit(IS_MATCH + state * POSITION_STATES + posState) === 0) {
      this.#literal(position);
      return true;
    }
    let length: number;
    if (this.#bit(IS_REP + state) === 0) {
      this.#rep3 = this.#rep2;
      this.#rep2 = this.#rep1;
      this.#rep1 = this.#rep0;
      length = this.#lengthOf(MATCH_LENGTH, posState);
      this.#state = state < 7 ? 7 : 10;
      this.#rep0 = this.#distance(length);
      if (this.#rep0 === 0xffff_ffff) return false;
    } else {
      if (this.#bit(IS_REP_G0 + state) === 0) {
        if (this.#bit(IS_REP0_LONG + state * POSITION_STATES + posState) === 0) {
          this.#state = state < 7 ? 9 : 11;
          this.#match(1);
          return true;
        }
      } else {
        let distance: number;
        if (this.#bit(IS_REP_G1 + state) === 0) distance = this.#rep1;
        else {
          if (this.#bit(IS_REP_G2 + state) === 0) distance = this.#rep2;
          else {
            distance = this.#rep3;
            this.#rep3 = this.#rep2;
          }
          this.#rep2 = this.#rep1;
        }
        this.#rep1 = this.#rep0;
        this.#rep0 = distance;
      }
      length = this.#lengthOf(REP_LENGTH, posState);
      this.#state = state < 7 ? 8 : 11;
    }
    length += SHORTEST_MATCH;
    if (this.length + length > until) throw new DamagedLzma('a match reaches behind the end');
    this.#match(length);
    return true;
  }

  #literal(position: number): void {
    const before = position > 0 ? this.output[this.length - 1]! : 0;
    const context = ((position & this.#lpMask) << this.#lc) + (before >> (8 - this.#lc));
    const probs = LITERAL + LITERAL_SIZE * context;
    let symbol = 1;
    if (this.#state >= 7) {
      // Behind a match: the byte that the match would have gone on with says which bits are likely.
      if (this.#rep0 >= position) throw new DamagedLzma('a match reaches back too far');
      let matched = this.output[this.length - this.#rep0 - 1]!;
      while (symbol < 0x100) {
        const likely = (matched >> 7) & 1;
        matched <<= 1;
        const bit = this.#bit(probs + ((1 + likely) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== likely) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(probs + symbol);
    this.#room(1);
    this.output[this.length++] = symbol;
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
  }

  #match(length: number): void {
    const distance = this.#rep0 + 1;
    if (distance > this.length - this.#dictionaryStart) throw new DamagedLzma('a match reaches back too far');
    this.#room(length);
    const { output } = this;
    let to = this.length;
    for (let i = 0; i < length; i++, to++) output[to] = output[to - distance]!;
    this.length = to;
  }

  #lengthOf(coder: number, posState: number): number {
    if (this.#bit(coder) === 0) return this.#tree(coder + LENGTH_LOW + posState * 8, 3);
    if (this.#bit(coder + 1) === 0) return 8 + this.#tree(coder + LENGTH_MIDDLE + posState * 8, 3);
    return 16 + this.#tree(coder + LENGTH_HIGH, 8);
  }

  /** Less one. */
  #distance(length: number): number {
    const slot = this.#tree(SLOT + Math.min(length, SLOT_CLASSES - 1) * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = ((2 | (slot & 1)) << bits) >>> 0;
    if (slot < 14) return base + this.#reverseTree(SPECIAL + base - slot, bits);
    let high = 0;
    for (let i = bits; i > 4; i--) high = (high << 1) | this.#evenBit();
    return (base + (high << 4) + this.#reverseTree(ALIGN, 4)) >>> 0;
  }

  #tree(probs: number, bits: number): number {
    let symbol = 1;
    for (let i = 0; i < bits; i++) symbol = (symbol << 1) | this.#bit(probs + symbol);
    return symbol - (1 << bits);
  }

  #reverseTree(probs: number, bits: number): number {
    let node = 1;
    let symbol = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(probs + node);
      node = (node << 1) | bit;
      symbol |= bit << i;
    }
    return symbol;
  }

  #bit(index: number): number {
    const prob = this.#probs[index]!;
    const bound = (this.#range >>> PROB_BITS) * prob;
    let bit: number;
    if (this.#code < bound) {
      this.#range = bound;
      this.#probs[index] = prob + (((1 << PROB_BITS) - prob) >> PROB_MOVE);
      bit = 0;
    } else {
      this.#range -= bound;
      this.#code -= bound;
      this.#probs[index] = prob - (prob >> PROB_MOVE);
      bit = 1;
    }
    if (this.#range < RANGE_TOP) this.#refill();
    return bit;
  }

  #evenBit(): number {
    this.#range >>>= 1;
    const bit = this.#code >= this.#range ? 1 : 0;
    if (bit === 1) this.#code -= this.#range;
    if (this.#range < RANGE_TOP) this.#refill();
    return bit;
  }

  #refill(): void {
    if (this.#at >= this.#end) throw new DamagedLzma('it is cut off');
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | this.#input[this.#at++]!) >>> 0;
  }
}

const LZMA_HEADER = 13;

/** A .lzma file: properties, size of the dictionary, size of the contents (or all ones), and one stream. */
export function unpackLzma(file: Uint8Array, limit: number): Uint8Array {
  if (file.length < LZMA_HEADER) throw new DamagedLzma('it is cut off');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const low = view.getUint32(5, true);
  const high = view.getUint32(9, true);
  const size = high === 0xffff_ffff && low === 0xffff_ffff ? -1 : high * 0x1_0000_0000 + low;
  if (size > limit) throw new DamagedLzma(`it claims to unpack to ${size} bytes`);
  const decoder = new LzmaDecoder(file, 0, limit);
  decoder.setProperties(file[0]!);
  decoder.run(LZMA_HEADER, file.length, size);
  return decoder.output.subarray(0, decoder.length);
}
