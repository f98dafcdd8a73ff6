/**
 * A guest may print by two ways at once, console_io and its console ring, and the lab shows both on one terminal.
 * Where the stream changes in the midst of a line, the terminal begins a new one; what the guest printed stays as it is.
 */
import { TerminalText } from './terminal-text.ts';

export class StreamSeam {
  readonly text = new TerminalText();
  /** The stream of the newest bytes. */
  emergency = false;

  /** Bytes of that stream come next. @returns whether the line on the terminal is to be ended before them. */
  turn(emergency: boolean): boolean {
    if (emergency === this.emergency) return false;
    this.emergency = emergency;
    const { inLine } = this.text;
    this.text.breakOff();
    return inLine;
  }

  /** They are printed. */
  print(bytes: Uint8Array): void {
    for (const byte of bytes) this.text.take(byte);
  }
}
