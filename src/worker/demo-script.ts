/**
 * A demo's part for its user, done by the lab: typing as the command line does it, presses at virtual times. Between
 * two looks the machine runs as ever; what is given goes into the input log like anything from outside.
 */
import { InputScript, LOOK_NS } from '../machine/input-script.ts';
import type { Machine } from '../machine/machine.ts';
import type { RunResult } from '../machine/run-loop.ts';
import { toBytes } from '../xen/toolstack/xenstore-wire.ts';
import type { Script } from './protocol.ts';

export class DemoScript {
  readonly #typing: InputScript;
  /** In the order of time, by virtual ns. */
  readonly #presses: { press: Script['presses'][number]['press']; domid: number; at: number }[];

  /** Looks are at fixed virtual times, so that it makes no difference how the run is cut. */
  #nextLook = 0;

  constructor(script: Script, machine: Machine) {
    this.#typing = new InputScript(script.domid, script.lines.map(toBytes));
    // What is on the screen already counts as printed just now.
    this.#typing.printed(machine.now, '');
    const presses = [...script.presses].sort((a, b) => a.atMs - b.atMs);
    const late = Math.max(0, machine.now - (presses[0]?.atMs ?? 0) * 1e6);
    this.#presses = presses.map(({ press, domid, atMs }) => ({
      press,
      domid,
      at: Math.round(atMs * 1e6 + late),
    }));
  }

  /** Nothing is left to be done, or nobody to do it for. */
  isOver(machine: Machine): boolean {
    const typedTo = machine.hv.domains[this.#typing.domid];
    const typing = !this.#typing.finished && typedTo !== undefined && typedTo.end === null;
    return !typing && (this.#presses.length === 0 || machine.ended);
  }

  printed(now: number, domid: number, text: string): void {
    if (domid === this.#typing.domid) this.#typing.printed(now, text);
  }

  /** The machine runs, and is given what is due on the way. */
  run(machine: Machine, untilNs: number): RunResult {
    const until = Math.floor(untilNs);
    for (;;) {
      this.#look(machine);
      const result = machine.run(Math.min(until, this.#nextLook, this.#nextPress));
      if (result.kind === 'ended' || result.kind === 'stopped') return result;
      if (machine.now < until) continue;
      if (result.kind !== 'idle') return result;
      const typing = this.#typing.waitsForSilence(machine) ? this.#nextLook : Number.POSITIVE_INFINITY;
      return { kind: 'idle', nextDeadline: Math.min(result.nextDeadline, typing, this.#nextPress) };
    }
  }

  get #nextPress(): number {
    return this.#presses[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  #look(machine: Machine): void {
    if (machine.now >= this.#nextLook) {
      this.#nextLook = (Math.floor(machine.now / LOOK_NS) + 1) * LOOK_NS;
      if (!this.#typing.finished) this.#typing.look(machine);
    }
    for (;;) {
      const next = this.#presses[0];
      if (next === undefined || next.at > machine.now) return;
      this.#presses.shift();
      machine.press(next.press, next.domid);
    }
  }
}
