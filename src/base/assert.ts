/** Errors of our own making. A guest's mistakes never end here: they become errnos, faults or a dead domain. */

/** We are wrong: an invariant of the engine does not hold. The run stops; nobody catches this and carries on. */
export class EngineBug extends Error {
  override name = 'EngineBug';
}

export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new EngineBug(message);
}

/** Closes a switch over a union: a new member makes this call a type error. */
export function unreachable(value: never): never {
  throw new EngineBug(`unreachable value ${String(value)}`);
}
