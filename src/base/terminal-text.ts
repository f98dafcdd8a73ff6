/**
 * Reads what goes to a terminal just far enough to know whether something stands on the line, and where a graphic
 * rendition (SGR) was chosen. Sequences as in ECMA-48 and as xterm reads them.
 */

const GROUND = 0;
const ESCAPE = 1;
const CONTROL = 2;
const TEXT_STRING = 3;

const BEL = 0x07;
const LF = 0x0a;
const CAN = 0x18;
const SUB = 0x1a;
const ESC = 0x1b;
const DEL = 0x7f;
/** Parameters that are looked at; a longer sequence is none that anybody writes. */
const MOST_PARAMETERS = 128;

/** What a byte has ended. */
export const NOTHING = 0;
export const RENDITION = 1;
/** RIS: the terminal starts anew. */
export const RESET = 2;

export class TerminalText {
  /** Does something stand on the line? */
  inLine = false;
  /** What stands between `CSI` and `m` of the newest rendition. */
  rendition = '';
  #state = GROUND;

  /** Nothing is left of the line, and of a sequence that had begun. */
  breakOff(): void {
    this.inLine = false;
    this.#state = GROUND;
  }

  take(byte: number): typeof NOTHING | typeof RENDITION | typeof RESET {
    if (byte === ESC) {
      this.#state = ESCAPE;
      this.rendition = '';
    } else if (byte === CAN || byte === SUB) this.#state = GROUND;
    else if (this.#state === GROUND) {
      if (byte === LF) this.inLine = false;
      else if ((byte >= 0x20 && byte !== DEL) || byte === 0x09) this.inLine = true;
    } else if (this.#state === TEXT_STRING) {
      if (byte === BEL) this.#state = GROUND;
    } else if (byte < 0x20) {
      // Carried out in the midst of the sequence.
      if (byte === LF) this.inLine = false;
    } else if (this.#state === CONTROL) return this.#control(byte);
    else if (byte === 0x5b) this.#state = CONTROL;
    // OSC, DCS, SOS, PM, APC: up to ST, whose ESC ends them.
    else if (byte === 0x5d || byte === 0x50 || byte === 0x58 || byte === 0x5e || byte === 0x5f)
      this.#state = TEXT_STRING;
    else if (byte >= 0x30) {
      this.#state = GROUND;
      if (byte === 0x63) return RESET;
    }
    return NOTHING;
  }

  #control(byte: number): typeof NOTHING | typeof RENDITION {
    if (byte >= 0x40) {
      this.#state = GROUND;
      // A private marker or an intermediate byte makes it something else.
      return byte === 0x6d && /^[0-9;:]*$/.test(this.rendition) ? RENDITION : NOTHING;
    }
    if (this.rendition.length < MOST_PARAMETERS) this.rendition += String.fromCharCode(byte);
    return NOTHING;
  }
}
