/**
 * Typing by script, for the command line and tests: what to type is fixed beforehand, when follows from what the
 * guest prints. A function of virtual time alone.
 *
 *   lines    each is typed when the guest has taken in the one before, has printed something since, and has been
 *            silent for 50 virtual ms
 *   replies  each is typed once, as soon as its text has been printed
 */
import type { Machine } from './machine.ts';

export const SILENCE_NS = 50_000_000;
/** How often the script looks, in virtual time. */
export const LOOK_NS = 1_000_000;
/** Of the text that is searched for replies. */
const TEXT_KEPT = 65_536;

export class InputScript {
  readonly #domid: number;
  readonly #lines: Uint8Array[];
  #replies: { after: string; bytes: Uint8Array }[];
  #text = '';
  #printedAt = 0;
  #printedSince = false;

  /** @param domid who is typed to. */
  constructor(
    domid: number,
    lines: readonly Uint8Array[],
    replies: readonly { after: string; bytes: Uint8Array }[] = [],
  ) {
    this.#domid = domid;
    this.#lines = [...lines];
    this.#replies = [...replies];
  }

  get domid(): number {
    return this.#domid;
  }

  /** Has everything been typed? */
  get finished(): boolean {
    return this.#lines.length === 0 && this.#replies.length === 0;
  }

  /** The domain printed something at this virtual time. */
  printed(now: number, text: string): void {
    this.#printedAt = now;
    this.#printedSince = true;
    if (this.#replies.length > 0) this.#text = (this.#text + text).slice(-TEXT_KEPT);
  }

  /** Types what is due. @returns whether something was typed. */
  look(machine: Machine): boolean {
    const due = this.#replies.find((reply) => this.#text.includes(reply.after));
    if (due) {
      this.#replies = this.#replies.filter((reply) => reply !== due);
      machine.input(this.#domid, due.bytes);
      this.#printedSince = false;
      return true;
    }
    const line = this.#lines[0];
    if (!line || !this.#printedSince || machine.now < this.#printedAt + SILENCE_NS) return false;
    if (!machine.toolstack.inputEmpty(this.#domid)) return false;
    this.#lines.shift();
    this.#printedSince = false;
    machine.input(this.#domid, line);
    return true;
  }

  /** Will look() type something soon, even if nothing more is printed? */
  waitsForSilence(machine: Machine): boolean {
    return this.#lines.length > 0 && this.#printedSince && machine.toolstack.inputEmpty(this.#domid);
  }

  /** Will look() type something at once? */
  get replyDue(): boolean {
    return this.#replies.some((reply) => this.#text.includes(reply.after));
  }
}
