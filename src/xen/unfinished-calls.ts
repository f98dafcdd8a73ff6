/**
 * For the trace and its counters only: a hypercall that is met again (continuation.ts) goes on with the record that it
 * began, so that it is one call there, however many parts it took. Recognised by its place and its registers. Not part
 * of the machine's state: a lab that was saved in between begins a new record.
 */
import type { Vcpu } from './vcpu.ts';

interface Unfinished {
  eip: number;
  number: number;
  args: Uint32Array;
  sequence: number;
  inner: number;
}

const keyOf = (vcpu: Vcpu) => vcpu.domain.id * 256 + vcpu.id;

export class UnfinishedCalls {
  /** Are there any, or is one going on? If not, a call need not ask. */
  some = false;
  readonly #calls = new Map<number, Unfinished>();
  /** Records that the call under way goes on with: its own, then that of a multicall's first entry; -1: a new one. */
  #next = -1;
  #nextInner = -1;
  /** Records of the call under way that are put aside: its own, and that of a multicall's entry. */
  #outer = -1;
  #inner = -1;

  /** A call begins, or goes on. */
  begin(vcpu: Vcpu, eip: number, number: number, args: Uint32Array): void {
    this.#next = -1;
    this.#nextInner = -1;
    this.some = this.#calls.size > 0;
    const key = keyOf(vcpu);
    const call = this.#calls.get(key);
    if (call === undefined || call.eip !== eip || call.number !== number) return;
    for (let i = 0; i < call.args.length; i++) if (call.args[i] !== args[i]) return;
    this.#calls.delete(key);
    this.#next = call.sequence;
    this.#nextInner = call.inner;
  }

  /** The record to go on with, -1 for a new one: asked by the call itself, then by the first entry of a multicall. */
  take(): number {
    const sequence = this.#next;
    this.#next = this.#nextInner;
    this.#nextInner = -1;
    return sequence;
  }

  /** Of a call that is to be met again: told by the multicall's entry first, then by the call itself. */
  putAside(sequence: number): void {
    this.#inner = this.#outer;
    this.#outer = sequence;
  }

  /** What a multicall's entry told does not count: the entry could not take what remains of it. */
  forget(): void {
    this.#outer = -1;
    this.#inner = -1;
  }

  /** The call is to be met again, with what remains in its registers. */
  end(vcpu: Vcpu, eip: number, number: number, args: Uint32Array): void {
    this.some = true;
    this.#calls.set(keyOf(vcpu), {
      eip,
      number,
      args: args.slice(0, 5),
      sequence: this.#outer,
      inner: this.#inner,
    });
    this.forget();
  }
}
