/**
 * The state of an object whose class is its own description: every field with its value, by name. Fields come back
 * only into an object of the same class, each with the kind of value that a new object has there; a field too many,
 * too few or of another kind is refused. So a field added to Domain or Vcpu is saved without being mentioned again.
 */

/** A saved value does not fit where it belongs. */
export class DoesNotFit extends Error {
  override name = 'DoesNotFit';
}

export type PlainObject = Record<string, unknown>;

const isPlain = (value: object): boolean =>
  Array.isArray(value) ||
  ArrayBuffer.isView(value) ||
  value instanceof Map ||
  value instanceof Set ||
  Object.getPrototypeOf(value) === Object.prototype;

export function isPlainObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Objects of further classes inside are taken apart too. @param without fields that are saved elsewhere. */
export function takeState(object: object, without: readonly string[] = []): PlainObject {
  const state: PlainObject = {};
  for (const [name, value] of Object.entries(object)) {
    if (without.includes(name)) continue;
    state[name] =
      typeof value === 'object' && value !== null && !isPlain(value) ? takeState(value as object) : value;
  }
  return state;
}

/** The opposite. Typed arrays keep their place: others hold on to them. */
export function giveState(
  object: object,
  state: unknown,
  where: string,
  without: readonly string[] = [],
): void {
  const fields = fieldsOf(object, state, where, without);
  const target = object as PlainObject;
  for (const name of fields) {
    const path = `${where}.${name}`;
    const now = target[name];
    const saved = (state as PlainObject)[name];
    if (typeof now === 'object' && now !== null && !isPlain(now)) giveState(now, saved, path);
    else if (ArrayBuffer.isView(now)) fill(now, saved, path);
    else if (Array.isArray(now)) {
      if (!Array.isArray(saved)) throw new DoesNotFit(`${path} is no list`);
      if (saved.some((element) => typeof element === 'function')) throw new DoesNotFit(`${path} is no list`);
      now.length = 0;
      for (const element of saved) now.push(element);
    } else if (now instanceof Map) {
      if (!(saved instanceof Map)) throw new DoesNotFit(`${path} is no map`);
      now.clear();
      for (const [key, element] of saved) now.set(key, element);
    } else if (now === null || typeof now === 'object') {
      if (typeof saved !== 'object') throw new DoesNotFit(`${path} is a ${typeof saved}`);
      target[name] = saved;
    } else {
      if (typeof saved !== typeof now) throw new DoesNotFit(`${path} is a ${typeof saved}`);
      target[name] = saved;
    }
  }
}

function fieldsOf(object: object, state: unknown, where: string, without: readonly string[]): string[] {
  const fields = Object.keys(object).filter((name) => !without.includes(name));
  if (!isPlainObject(state)) throw new DoesNotFit(`${where} has no fields`);
  const missing = fields.find((name) => !(name in state));
  if (missing !== undefined) throw new DoesNotFit(`${where} has no field ${missing}`);
  const unknown = Object.keys(state).find((name) => !fields.includes(name));
  if (unknown !== undefined) throw new DoesNotFit(`${where} has an unknown field ${unknown}`);
  return fields;
}

/** Into a typed array of the same type and length. */
export function fill(into: ArrayBufferView, saved: unknown, where: string): void {
  if (!ArrayBuffer.isView(saved) || Object.getPrototypeOf(saved) !== Object.getPrototypeOf(into))
    throw new DoesNotFit(`${where} is another kind of array`);
  if (saved.byteLength !== into.byteLength)
    throw new DoesNotFit(`${where} has ${saved.byteLength} bytes, not ${into.byteLength}`);
  new Uint8Array(into.buffer, into.byteOffset, into.byteLength).set(
    new Uint8Array(saved.buffer, saved.byteOffset, saved.byteLength),
  );
}
