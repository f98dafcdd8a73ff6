/**
 * Plain state as bytes and back: numbers, texts, arrays, typed arrays, maps, sets and objects of these, however
 * nested. An object that is reached twice is written once, and reached twice again after reading: who shares what is
 * part of the state (a transaction's snapshot of the store, a refusal in a vcpu and in its domain's end).
 */
import { strFromU8, strToU8 } from 'fflate';

const NULL = 0,
  UNDEFINED = 1,
  FALSE = 2,
  TRUE = 3,
  NUMBER = 4,
  WHOLE = 5,
  TEXT = 6,
  ARRAY = 7,
  OBJECT = 8,
  MAP = 9,
  SET = 10,
  SEEN = 11,
  TYPED = 12;

const TYPED_ARRAYS = [
  Uint8Array,
  Uint16Array,
  Uint32Array,
  Int32Array,
  Float64Array,
  Int8Array,
  Int16Array,
] as const;
export type TypedArray = InstanceType<(typeof TYPED_ARRAYS)[number]>;

/** Nesting beyond this is nobody's state. */
const DEEPEST = 4000;

/** The bytes are not what encodePlain wrote. */
export class NotPlain extends Error {
  override name = 'NotPlain';
}

class Writer {
  bytes = new Uint8Array(65536);
  length = 0;
  #view = new DataView(this.bytes.buffer);
  readonly seen = new Map<object, number>();

  #room(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.bytes.length * 2));
      grown.set(this.bytes);
      this.bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
  u8(value: number): void {
    const at = this.#room(1);
    this.bytes[at] = value;
  }
  u32(value: number): void {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
  }
  f64(value: number): void {
    const at = this.#room(8);
    this.#view.setFloat64(at, value, true);
  }
  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.bytes.set(bytes, at);
  }
  text(text: string): void {
    const bytes = strToU8(text);
    this.u32(bytes.length);
    this.raw(bytes);
  }

  value(value: unknown): void {
    switch (typeof value) {
      case 'number':
        if (Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff && !Object.is(value, -0)) {
          this.u8(WHOLE);
          this.u32(value);
        } else {
          this.u8(NUMBER);
          this.f64(value);
        }
        break;
      case 'string':
        this.u8(TEXT);
        this.text(value);
        break;
      case 'boolean':
        this.u8(value ? TRUE : FALSE);
        break;
      case 'undefined':
        this.u8(UNDEFINED);
        break;
      case 'object':
        if (value === null) this.u8(NULL);
        else this.#object(value);
        break;
      default:
        throw new NotPlain(`a ${typeof value} is no plain state`);
    }
  }

  #object(object: object): void {
    const before = this.seen.get(object);
    if (before !== undefined) {
      this.u8(SEEN);
      this.u32(before);
      return;
    }
    this.seen.set(object, this.seen.size);
    if (ArrayBuffer.isView(object)) {
      const kind = TYPED_ARRAYS.findIndex((type) => object instanceof type);
      if (kind < 0) throw new NotPlain('a view of a buffer is no plain state');
      this.u8(TYPED);
      this.u8(kind);
      this.u32(object.byteLength);
      this.raw(new Uint8Array(object.buffer, object.byteOffset, object.byteLength));
    } else if (Array.isArray(object) || object instanceof Set) {
      const list: readonly unknown[] = Array.isArray(object) ? object : [...object];
      this.u8(Array.isArray(object) ? ARRAY : SET);
      this.u32(list.length);
      for (const element of list) this.value(element);
    } else if (object instanceof Map) {
      this.u8(MAP);
      this.u32(object.size);
      for (const [key, element] of object) {
        this.value(key);
        this.value(element);
      }
    } else {
      if (Object.getPrototypeOf(object) !== Object.prototype)
        throw new NotPlain(`a ${object.constructor.name} is no plain state`);
      const entries = Object.entries(object);
      this.u8(OBJECT);
      this.u32(entries.length);
      for (const [key, element] of entries) {
        this.text(key);
        this.value(element);
      }
    }
  }
}

class Reader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #seen: object[] = [];
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #take(count: number): number {
    const at = this.at;
    if (count > this.bytes.length - at) throw new NotPlain(`the state ends after ${this.bytes.length} bytes`);
    this.at += count;
    return at;
  }
  u8(): number {
    return this.bytes[this.#take(1)]!;
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  /** A number of elements, each of which takes at least a byte. */
  #count(): number {
    const count = this.u32();
    if (count > this.bytes.length - this.at) throw new NotPlain(`${count} elements do not fit into the rest`);
    return count;
  }
  text(): string {
    const length = this.u32();
    const at = this.#take(length);
    return strFromU8(this.bytes.subarray(at, at + length));
  }

  value(depth = 0): unknown {
    if (depth > DEEPEST) throw new NotPlain('the state is nested too deeply');
    const tag = this.u8();
    switch (tag) {
      case NULL:
        return null;
      case UNDEFINED:
        return undefined;
      case FALSE:
        return false;
      case TRUE:
        return true;
      case NUMBER:
        return this.#view.getFloat64(this.#take(8), true);
      case WHOLE:
        return this.u32();
      case TEXT:
        return this.text();
      case SEEN: {
        const object = this.#seen[this.u32()];
        if (!object) throw new NotPlain('a reference to nothing');
        return object;
      }
      case TYPED:
        return this.#typed();
      default:
        return this.#nested(tag, depth + 1);
    }
  }

  #typed(): TypedArray {
    const type = TYPED_ARRAYS[this.u8()];
    const length = this.u32();
    if (!type || length % type.BYTES_PER_ELEMENT !== 0) throw new NotPlain('an array of no known type');
    const at = this.#take(length);
    const array = new type(this.bytes.slice(at, at + length).buffer);
    this.#seen.push(array);
    return array;
  }

  #nested(tag: number, depth: number): object {
    const count = this.#count();
    switch (tag) {
      case ARRAY: {
        const array: unknown[] = [];
        this.#seen.push(array);
        for (let i = 0; i < count; i++) array.push(this.value(depth));
        return array;
      }
      case SET: {
        const set = new Set<unknown>();
        this.#seen.push(set);
        for (let i = 0; i < count; i++) set.add(this.value(depth));
        return set;
      }
      case MAP: {
        const map = new Map<unknown, unknown>();
        this.#seen.push(map);
        for (let i = 0; i < count; i++) map.set(this.value(depth), this.value(depth));
        return map;
      }
      case OBJECT: {
        const object: Record<string, unknown> = {};
        this.#seen.push(object);
        for (let i = 0; i < count; i++) {
          const key = this.text();
          if (key === '__proto__') throw new NotPlain('a key that is none');
          object[key] = this.value(depth);
        }
        return object;
      }
      default:
        throw new NotPlain(`byte ${tag} begins no value`);
    }
  }
}

/** @throws NotPlain for functions, symbols and instances of classes: a mistake of the caller. */
export function encodePlain(value: unknown): Uint8Array {
  const writer = new Writer();
  writer.value(value);
  return writer.bytes.slice(0, writer.length);
}

/** @throws NotPlain for bytes that encodePlain did not write. */
export function decodePlain(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.value();
  if (reader.at !== bytes.length) throw new NotPlain(`${bytes.length - reader.at} bytes behind the state`);
  return value;
}
