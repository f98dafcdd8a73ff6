/** Virtual time and counts as text, the same in panels, CLI and traces. */

/** Digits in groups of three from the right: groupDigits(4102640337) = "4 102 640 337". */
export function groupDigits(n: number): string {
  return Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ' ');
}

/** Seconds with nanoseconds in groups: formatSeconds(4216803512) = "4.216 803 512". */
export function formatSeconds(ns: number): string {
  const whole = Math.floor(ns / 1e9);
  const rest = Math.round(ns - whole * 1e9)
    .toString()
    .padStart(9, '0');
  return `${whole}.${rest.slice(0, 3)} ${rest.slice(3, 6)} ${rest.slice(6)}`;
}

const UNITS: readonly [string, number][] = [
  ['s', 1e9],
  ['ms', 1e6],
  ['µs', 1e3],
];

/** A span in the unit that suits it: formatSpan(4600) = "4.6 µs", formatSpan(12) = "12 ns". */
export function formatSpan(ns: number): string {
  for (const [unit, size] of UNITS) {
    if (ns >= size) {
      const n = ns / size;
      return `${n >= 100 ? Math.round(n) : Number(n.toFixed(n >= 10 ? 1 : 2))} ${unit}`;
    }
  }
  return `${Math.round(ns)} ns`;
}
