/** An expected failure travels as a value: across a worker boundary only plain data survives. */
export type Result<T, E = UserError> = { ok: true; value: T } | { ok: false; error: E };

/** A failure that the user is told about. Facts only: each surface (UI, CLI) adds its own advice. */
export interface UserError {
  /** Stable, kebab-case. */
  code: string;
  /** One plain sentence. */
  message: string;
}
