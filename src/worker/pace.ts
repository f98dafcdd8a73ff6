/**
 * Virtual time against the wall clock. Virtual time never runs ahead of it; a busy guest falls behind, and catches
 * up by jumping over idle time. How far behind is remembered is bounded, so that a guest that computed for a minute
 * does not see its next minute of sleep pass in no time.
 */
const MOST_BEHIND_MS = 1000;

export class Pace {
  #speed = 1;
  #wallMs = 0;
  #virtualNs = 0;

  /** From here on, virtual time `virtualNs` belongs to wall time `wallMs`. Speed 0: no bound. */
  anchor(wallMs: number, virtualNs: number, speed: number): void {
    this.#wallMs = wallMs;
    this.#virtualNs = virtualNs;
    this.#speed = speed;
  }

  /** How far virtual time may go by now. */
  target(wallMs: number, nowNs: number): number {
    if (this.#speed === 0) return Number.POSITIVE_INFINITY;
    const target = this.#virtualNs + (wallMs - this.#wallMs) * 1e6 * this.#speed;
    const mostBehind = MOST_BEHIND_MS * 1e6 * this.#speed;
    if (target - nowNs > mostBehind) {
      this.anchor(wallMs, nowNs + mostBehind, this.#speed);
      return nowNs + mostBehind;
    }
    return target;
  }

  /** Wall ms until virtual time may reach `ns`. */
  waitFor(ns: number, targetNs: number): number {
    if (this.#speed === 0) return 0;
    return Math.max(0, (ns - targetNs) / 1e6 / this.#speed);
  }
}
