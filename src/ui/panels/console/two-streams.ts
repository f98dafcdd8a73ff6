/**
 * Both streams of a guest for one terminal: the emergency console (console_io) faint, the console ring as it is, a new
 * line where the stream changes within one. Each stream keeps the rendition that its own sequences chose.
 */
import { StreamSeam } from '../../../base/stream-seam.ts';
import { NOTHING, RESET } from '../../../base/terminal-text.ts';
import { Rendition } from './rendition.ts';

/** CAN breaks off a sequence that the other stream has left open; then everything plain. */
const PLAIN = '\x18\x1b[0m';
const FAINT = '\x1b[2m';

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const FAINT_BYTES = bytesOf(FAINT);

export class TwoStreams {
  readonly #seam = new StreamSeam();
  readonly #ring = new Rendition();
  readonly #emergency = new Rendition();
  /** A domain without a ring has but one console: nothing is faint. */
  readonly #dims: boolean;

  constructor(dims: boolean) {
    this.#dims = dims;
  }

  /** What the terminal is given for these bytes. */
  show(bytes: Uint8Array, emergency: boolean): Uint8Array {
    const { text } = this.#seam;
    const rendition = emergency ? this.#emergency : this.#ring;
    const isFaint = emergency && this.#dims;
    const pieces: Uint8Array[] = [];
    const turns = emergency !== this.#seam.emergency;
    const endsLine = this.#seam.turn(emergency);
    if (turns) {
      const own = (isFaint ? FAINT : '') + rendition.sequence;
      pieces.push(bytesOf(PLAIN + (endsLine ? '\r\n' : '') + own));
    }
    let from = 0;
    for (let i = 0; i < bytes.length; i++) {
      const ended = text.take(bytes[i]!);
      if (ended === NOTHING) continue;
      if (ended === RESET) {
        this.#ring.clear();
        this.#emergency.clear();
      } else rendition.choose(text.rendition);
      if (!isFaint || rendition.isFaint) continue;
      pieces.push(bytes.subarray(from, i + 1), FAINT_BYTES);
      from = i + 1;
    }
    if (pieces.length === 0) return bytes;
    pieces.push(bytes.subarray(from));
    return joined(pieces);
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
