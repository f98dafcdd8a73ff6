/**
 * Sends snapshots: only subscribed views, only those that changed, at most one that is not acknowledged yet, at most
 * one per animation frame, and while the machine runs only so often that making them costs a few percent of the time.
 */
import type { Snapshot, View, ViewQuery } from './protocol.ts';
import { sameData } from './same-view.ts';

/** A browser shows no more than this. */
const FRAME_MS = 16;
/** A snapshot may cost this part of the machine's time. */
const MOST_COST = 0.04;
/** A face that does not answer for so long has lost the snapshot; it is not waited for any longer. */
const LOST_MS = 2000;

export class SnapshotPump {
  readonly #makeView: (query: ViewQuery) => View | null;
  readonly #wallMs: () => number;
  #send: ((snapshot: Snapshot) => void) | null = null;
  #queries: [string, ViewQuery][] = [];
  #sent = new Map<string, View>();
  #sequence = 0;
  #acknowledged = 0;
  #sentAt = Number.NEGATIVE_INFINITY;
  #notBefore = 0;
  #waiting: (() => void)[] = [];

  constructor(makeView: (query: ViewQuery) => View | null, wallMs: () => number) {
    this.#makeView = makeView;
    this.#wallMs = wallMs;
  }

  connect(send: (snapshot: Snapshot) => void): void {
    this.#send = send;
    this.forget();
  }

  subscribe(subscriptions: Record<string, ViewQuery>): void {
    const before = new Map(this.#queries);
    this.#queries = Object.entries(subscriptions);
    for (const [key, query] of this.#queries) {
      // The same key may now mean another domain: what was sent before says nothing about it.
      if (!sameData(before.get(key), query)) this.#sent.delete(key);
    }
    for (const key of this.#sent.keys()) if (!(key in subscriptions)) this.#sent.delete(key);
    this.#notBefore = 0;
  }

  /** All is new: another machine. */
  forget(): void {
    this.#sent.clear();
    this.#notBefore = 0;
  }

  acknowledge(sequence: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, sequence);
    if (!this.#unacknowledged) {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const go of waiting) go();
    }
  }

  get #unacknowledged(): boolean {
    return this.#acknowledged < this.#sequence && this.#wallMs() - this.#sentAt < LOST_MS;
  }

  /** Called between slices: sends when it is time. `urgent`: the machine has just stopped, or been changed. */
  pump(urgent: boolean): void {
    const started = this.#wallMs();
    if (this.#send === null || this.#unacknowledged) return;
    if (!urgent && started < this.#notBefore) return;
    if (started - this.#sentAt < FRAME_MS && !urgent) return;
    const views: Record<string, View> = {};
    let some = false;
    for (const [key, query] of this.#queries) {
      const view = this.#makeView(query);
      if (view === null || sameData(view, this.#sent.get(key))) continue;
      this.#sent.set(key, view);
      views[key] = view;
      some = true;
    }
    const ended = this.#wallMs();
    this.#notBefore = ended + Math.max(FRAME_MS, (ended - started) / MOST_COST);
    if (!some) return;
    this.#sentAt = ended;
    this.#send({ sequence: ++this.#sequence, views });
  }

  /** Resolves when the face has what is true now. */
  async flush(): Promise<void> {
    await this.#settled();
    this.pump(true);
    await this.#settled();
  }

  #settled(): Promise<void> {
    if (!this.#unacknowledged) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
