/** Which graphic rendition (ECMA-48 SGR) is in force after some sequences, so that it can be chosen again. Pure. */

const FAINT = 2;
/** Attributes that the key takes back. */
const TAKEN_BACK: Readonly<Record<number, readonly number[]>> = {
  22: [1, 2],
  23: [3],
  24: [4],
  25: [5],
  27: [7],
  28: [8],
  29: [9],
  39: [38],
  49: [48],
  55: [53],
  59: [58],
};

/** Attributes that exclude one another share a key: all colours of the text are 38, those behind it 48. */
function keyOf(number: number): number {
  if ((number >= 30 && number <= 38) || (number >= 90 && number <= 97)) return 38;
  if ((number >= 40 && number <= 48) || (number >= 100 && number <= 107)) return 48;
  if (number === 21) return 4;
  return number === 6 ? 5 : number;
}

export class Rendition {
  readonly #chosen = new Map<number, string>();

  get sequence(): string {
    return this.#chosen.size === 0 ? '' : `\x1b[${[...this.#chosen.values()].join(';')}m`;
  }
  get isFaint(): boolean {
    return this.#chosen.has(FAINT);
  }

  clear(): void {
    this.#chosen.clear();
  }

  /** @param parameters what stood between `CSI` and `m`. */
  choose(parameters: string): void {
    const list = parameters.split(';');
    for (let i = 0; i < list.length; i++) {
      const first = list[i]!;
      const number = Number.parseInt(first, 10) || 0;
      let whole = first;
      // 38;5;N and 38;2;R;G;B; with colons it is one parameter.
      if ((number === 38 || number === 48 || number === 58) && !first.includes(':')) {
        const more = list[i + 1] === '5' ? 2 : list[i + 1] === '2' ? 4 : 0;
        whole = list.slice(i, i + 1 + more).join(';');
        i += more;
      }
      const taken = TAKEN_BACK[number];
      if (number === 0) this.clear();
      else if (taken !== undefined) for (const key of taken) this.#chosen.delete(key);
      else if (number < 108) this.#chosen.set(keyOf(number), whole);
    }
  }
}
