/**
 * What a value that was read from a file must look like, described once; checking gives back the value with its type.
 * For state that has no class of its own.
 */
import { DoesNotFit, isPlainObject } from './object-state.ts';

export type Shape<T> = (value: unknown, where: string) => T;

function kind<T>(name: string, is: (value: unknown) => boolean): Shape<T> {
  return (value, where) => {
    if (!is(value)) throw new DoesNotFit(`${where} is no ${name}`);
    return value as T;
  };
}

export const aNumber = kind<number>('number', (v) => typeof v === 'number');
export const aCount = kind<number>('count', (v) => Number.isSafeInteger(v) && (v as number) >= 0);
/** Virtual cycles. A pace may stop an idle clock between two of them. */
export const aTime = kind<number>('time', (v) => Number.isFinite(v) && (v as number) >= 0);
export const aFlag = kind<boolean>('flag', (v) => typeof v === 'boolean');
export const aText = kind<string>('text', (v) => typeof v === 'string');
export const bytes = kind<Uint8Array>('row of bytes', (v) => v instanceof Uint8Array);
export const words = kind<Int32Array>('row of words', (v) => v instanceof Int32Array);
export const anything: Shape<unknown> = (value) => value;

export function oneOf<const T extends string | number>(...choices: readonly T[]): Shape<T> {
  return kind<T>(`one of ${choices.join(', ')}`, (v) => choices.includes(v as T));
}
export function listOf<T>(element: Shape<T>): Shape<T[]> {
  return (value, where) => {
    if (!Array.isArray(value)) throw new DoesNotFit(`${where} is no list`);
    for (const [i, each] of value.entries()) element(each, `${where}[${i}]`);
    return value as T[];
  };
}
export function mapOf<K, V>(key: Shape<K>, element: Shape<V>): Shape<Map<K, V>> {
  return (value, where) => {
    if (!(value instanceof Map)) throw new DoesNotFit(`${where} is no map`);
    for (const [k, v] of value) {
      key(k, `a key of ${where}`);
      element(v, `${where}[${String(k)}]`);
    }
    return value as Map<K, V>;
  };
}
export function orNull<T>(shape: Shape<T>): Shape<T | null> {
  return (value, where) => (value === null ? null : shape(value, where));
}
/** Checks what several share only once. */
export function once<T extends object>(shape: Shape<T>): Shape<T> {
  const seen = new WeakSet<object>();
  return (value, where) => {
    if (typeof value === 'object' && value !== null) {
      if (seen.has(value)) return value as T;
      seen.add(value);
    }
    return shape(value, where);
  };
}
export function record<S extends Record<string, Shape<unknown>>>(
  shapes: S,
): Shape<{ [K in keyof S]: ReturnType<S[K]> }> {
  return (value, where) => {
    if (!isPlainObject(value)) throw new DoesNotFit(`${where} has no fields`);
    for (const name in shapes) shapes[name]!(value[name], `${where}.${name}`);
    const unknown = Object.keys(value).find((name) => !(name in shapes));
    if (unknown !== undefined) throw new DoesNotFit(`${where} has an unknown field ${unknown}`);
    return value as { [K in keyof S]: ReturnType<S[K]> };
  };
}
