/**
 * A small engine for tests of the lab and of the pump, behind the same interface as the real one: a clock, a counter,
 * domains that spin, print, sleep or break. It is never part of the site.
 */
import type { Result } from '../../base/result.ts';
import type { Engine, EngineFacts, EngineQuery, EngineRun, Print } from '../engine.ts';
import type { DomainRequest, MachineSettings, PressKind, Script, StepKind, View } from '../protocol.ts';

export class FakeEngine implements Engine {
  now = 0;
  instructions = 0;
  /** Names of the domains, by domid - 1; null when destroyed. */
  readonly domains: (string | null)[] = [];
  readonly typed: string[] = [];
  ended = false;
  /** Everybody waits until then; 0: somebody spins. */
  idleUntil = 0;
  /** Virtual ns at which a step finds what it looks for. */
  stepFindsAt = 0;
  breaks = false;
  /** Wall ms that one virtual ms costs. */
  costOfRun: (ns: number) => void = () => {};
  readonly settings: MachineSettings;
  readonly #print: Print;

  constructor(settings: MachineSettings, print: Print) {
    this.settings = settings;
    this.#print = print;
  }

  get domainCount(): number {
    return this.domains.filter((d) => d !== null).length;
  }

  addDomain(request: DomainRequest): Result<{ domid: number }> {
    if (request.image.length === 0)
      return { ok: false, error: { code: 'empty-file', message: 'The file is empty.' } };
    this.domains.push(request.name);
    return { ok: true, value: { domid: this.domains.length } };
  }

  destroyDomain(domid: number): void {
    this.domains[domid - 1] = null;
  }

  get domids(): number[] {
    return this.domains.flatMap((name, index) => (name === null ? [] : [index + 1]));
  }
  save(): Uint8Array {
    return new TextEncoder().encode(this.domains.join());
  }
  restore(file: Uint8Array): Result<{ domid: number }> {
    this.domains.push(new TextDecoder().decode(file.subarray(12)));
    return { ok: true, value: { domid: this.domains.length } };
  }
  restoreSuspended(domid: number): Result<{ domid: number }> {
    const name = this.domains[domid - 1];
    if (!name) return { ok: false, error: { code: 'not-saveable', message: 'There is none.' } };
    this.domains.push(name);
    return { ok: true, value: { domid: this.domains.length } };
  }

  input(domid: number, bytes: Uint8Array): void {
    this.typed.push(`${domid}:${new TextDecoder().decode(bytes)}`);
    this.idleUntil = 0;
  }

  press(press: PressKind, domid: number): void {
    this.typed.push(`${domid}:<${press}>`);
    this.idleUntil = 0;
  }

  play({ domid, lines }: Script): void {
    this.typed.push(`${domid}:script of ${lines.length}`);
    this.idleUntil = 0;
  }

  print(domid: number, text: string): void {
    this.#print(domid, new TextEncoder().encode(text), false);
  }

  run(untilNs: number): EngineRun {
    if (this.breaks) throw new Error('type count of mfn 12');
    if (this.ended) return { kind: 'ended', nextDeadline: Number.POSITIVE_INFINITY };
    const ns = untilNs - this.now;
    this.costOfRun(ns);
    this.now = untilNs;
    if (this.idleUntil > untilNs) return { kind: 'idle', nextDeadline: this.idleUntil };
    this.instructions += ns;
    return { kind: 'ran', nextDeadline: untilNs };
  }

  step(kind: StepKind, untilNs: number): EngineRun {
    if (kind === 'instruction') {
      this.now++;
      this.instructions++;
      return { kind: 'stopped', nextDeadline: this.now };
    }
    if (this.stepFindsAt <= untilNs) {
      this.now = this.stepFindsAt;
      return { kind: 'stopped', nextDeadline: this.now };
    }
    return this.run(untilNs);
  }

  facts(): EngineFacts {
    return {
      memoryMiB: this.settings.memoryMiB,
      cpus: this.settings.cpus ?? 1,
      cpusOffLine: [],
      freeFrames: 1000,
      playing: false,
      waiting: 'd1 waits for an event',
    };
  }

  view(query: EngineQuery): View | null {
    switch (query.view) {
      case 'runstates':
        return { view: 'runstates', now: this.now, lanes: [] };
      case 'ports':
        return this.domains[query.domid - 1] == null
          ? null
          : { view: 'ports', domid: query.domid, rows: [], vcpus: [], note: null };
      case 'hypercalls':
        return { view: 'hypercalls', rows: [] };
      default:
        return null;
    }
  }
}
