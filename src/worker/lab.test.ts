import { beforeEach, describe, expect, it } from 'vitest';
import type { Result } from '../base/result.ts';
import type { Print } from './engine.ts';
import { type Host, Lab } from './lab.ts';
import type {
  ConsoleChunk,
  DomainRequest,
  MachineSettings,
  MachineView,
  Snapshot,
  ViewQuery,
} from './protocol.ts';
import { FakeEngine } from './testing/fake-engine.ts';

/** A host whose clock moves only when the test, or the engine's work, moves it. */
class TestHost implements Host {
  now = 0;
  #due: { at: number; callback: () => void }[] = [];

  wallMs(): number {
    return this.now;
  }
  soon(callback: () => void): void {
    this.#due.push({ at: this.now, callback });
  }
  after(ms: number, callback: () => void): () => void {
    const entry = { at: this.now + ms, callback };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((e) => e !== entry);
    };
  }
  /** Lets callbacks run until the clock shows `until`. */
  async until(until: number): Promise<void> {
    for (;;) {
      await settle();
      const next = this.#due.reduce((a, b) => (b.at < a.at ? b : a), {
        at: Number.POSITIVE_INFINITY,
        callback() {},
      });
      if (next.at > until || this.now > until) break;
      this.#due = this.#due.filter((e) => e !== next);
      this.now = Math.max(this.now, next.at);
      next.callback();
    }
    this.now = Math.max(this.now, until);
    await settle();
  }
  get pending(): number {
    return this.#due.length;
  }
}
const settle = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

const request = (name = 'hello', image = new Uint8Array([1])): DomainRequest => ({
  name,
  image,
  commandLine: '',
  memoryMiB: 8,
  vcpus: 1,
  abi: 'auto',
  xen: 'auto',
  privileged: false,
});

function setup() {
  const host = new TestHost();
  const engines: FakeEngine[] = [];
  const snapshots: Snapshot[] = [];
  const chunks: ConsoleChunk[] = [];
  const create = (settings: MachineSettings, print: Print) => {
    const engine = new FakeEngine(settings, print);
    engines.push(engine);
    return engine;
  };
  const open = (file: Uint8Array, print: Print): Result<FakeEngine> => {
    if (file.length === 0) return { ok: false, error: { code: 'truncated', message: 'The file ends.' } };
    const engine = create({ memoryMiB: 16, seed: 1, wallClockSeconds: 0 }, print);
    for (const name of new TextDecoder().decode(file).split(',')) engine.domains.push(name);
    return { ok: true, value: engine };
  };
  const lab = new Lab(create, open, host);
  const face = { acknowledges: true, showsText: true };
  return {
    host,
    lab,
    snapshots,
    chunks,
    face,
    get engine() {
      return engines.at(-1)!;
    },
    machine: (): MachineView =>
      snapshots.map((s) => s.views['machine'] as MachineView).findLast((view) => view !== undefined)!,
    async start(extra: Record<string, ViewQuery> = {}) {
      await lab.listen(
        (snapshot) => {
          snapshots.push(snapshot);
          if (face.acknowledges) lab.acknowledge(snapshot.sequence);
        },
        (chunk) => {
          chunks.push(chunk);
          return face.showsText ? undefined : new Promise<void>(() => {});
        },
      );
      await lab.subscribe({ machine: { view: 'machine' }, ...extra });
      await lab.reset({ memoryMiB: 64, seed: 1, wallClockSeconds: 0 });
    },
  };
}
let t: ReturnType<typeof setup>;
beforeEach(async () => {
  t = setup();
  await t.start();
});

describe('a lab', () => {
  it('is empty after a reset and paused before the first instruction after a boot', async () => {
    expect(t.machine().mode).toBe('empty');
    expect(await t.lab.boot(request())).toEqual({ ok: true, value: { domid: 1 } });
    await t.host.until(20);
    expect(t.machine().reason).toBe('paused before the first instruction');
  });
  it('tells what is wrong with an image as a value, and goes on', async () => {
    expect(await t.lab.boot(request('bad', new Uint8Array()))).toEqual({
      ok: false,
      error: { code: 'empty-file', message: 'The file is empty.' },
    });
    expect((await t.lab.boot(request())).ok).toBe(true);
  });
  it('does not run without a domain', async () => {
    await t.lab.run();
    expect(t.host.pending).toBe(0);
  });
});

describe('running', () => {
  it('keeps virtual time at the wall clock, never ahead of it', async () => {
    await t.lab.boot(request());
    await t.lab.run();
    for (const ms of [10, 50, 200]) {
      await t.host.until(ms);
      expect(t.engine.now).toBeLessThanOrEqual(ms * 1e6);
      expect(t.engine.now).toBeGreaterThan((ms - 2) * 1e6);
    }
  });
  it('goes by the speed that was set, also in the middle of a run', async () => {
    await t.lab.boot(request());
    await t.lab.run();
    await t.host.until(100);
    const before = t.engine.now;
    await t.lab.setSpeed(0.01);
    await t.host.until(1100);
    expect(t.engine.now - before).toBeGreaterThan(9.5e6);
    expect(t.engine.now - before).toBeLessThanOrEqual(10.1e6);
  });
  it('serves commands between slices of a few milliseconds while a guest spins', async () => {
    await t.lab.boot(request());
    // A slow computer: a virtual millisecond costs ten real ones.
    t.engine.costOfRun = (ns) => {
      t.host.now += (ns / 1e6) * 10;
    };
    await t.lab.run();
    await t.host.until(2000);
    const pausedAt = t.host.now;
    await t.lab.pause();
    expect(t.host.now - pausedAt).toBeLessThan(1);
    const stood = t.engine.now;
    await t.host.until(3000);
    expect(t.engine.now).toBe(stood);
    expect(t.machine().mode).toBe('paused');
  });
  it('waits for a deadline while all sleep, and says so', async () => {
    await t.lab.boot(request());
    t.engine.idleUntil = 500e6;
    await t.lab.run();
    await t.host.until(100);
    expect(t.machine().mode).toBe('idle');
    expect(t.machine().reason).toBe('d1 waits for an event');
    expect(t.engine.instructions).toBe(0);
    await t.host.until(600);
    expect(t.engine.instructions).toBeGreaterThan(0);
  });
  it('wakes for typed input', async () => {
    await t.lab.boot(request());
    t.engine.idleUntil = Number.POSITIVE_INFINITY;
    await t.lab.run();
    await t.host.until(100);
    await t.lab.input(1, new TextEncoder().encode('ls\r'));
    await t.host.until(105);
    expect(t.engine.typed).toEqual(['1:ls\r']);
    expect(t.machine().mode).toBe('running');
  });
  it('ends when every domain has ended', async () => {
    await t.lab.boot(request());
    t.engine.ended = true;
    await t.lab.run();
    await t.host.until(50);
    expect(t.machine().mode).toBe('ended');
    expect(t.host.pending).toBe(0);
  });
});

describe('stepping', () => {
  it('takes one instruction', async () => {
    await t.lab.boot(request());
    await t.lab.step('instruction');
    expect(t.engine.instructions).toBe(1);
    expect(t.machine().reason).toBe('paused after an instruction');
  });
  it('runs on until a hypercall is found', async () => {
    await t.lab.boot(request());
    t.engine.stepFindsAt = 5_500_000;
    await t.lab.step('hypercall');
    expect(t.engine.now).toBe(5_500_000);
    expect(t.machine().reason).toBe('paused after a hypercall');
  });
  it('is ended by a pause when nothing is ever found', async () => {
    await t.lab.boot(request());
    t.engine.stepFindsAt = Number.POSITIVE_INFINITY;
    t.engine.costOfRun = () => {
      t.host.now += 1;
    };
    const step = t.lab.step('event');
    await t.host.until(100);
    await t.lab.pause();
    await t.host.until(200);
    await step;
    const stood = t.engine.now;
    await t.host.until(300);
    expect(t.engine.now).toBe(stood);
  });
  it('does nothing while the machine runs', async () => {
    await t.lab.boot(request());
    await t.lab.run();
    await t.lab.step('instruction');
    expect(t.engine.instructions).toBe(0);
  });
});

describe('an error of the engine', () => {
  it('stops the run, is told, and leaves the views', async () => {
    await t.lab.boot(request());
    t.engine.breaks = true;
    await t.lab.run();
    await t.host.until(50);
    expect(t.machine().mode).toBe('failed');
    expect(t.machine().failure).toBe('type count of mfn 12');
    expect((await t.lab.boot(request())).ok).toBe(false);
  });
  it('is over with a reset', async () => {
    await t.lab.boot(request());
    t.engine.breaks = true;
    await t.lab.run();
    await t.host.until(50);
    await t.lab.reset({ memoryMiB: 64, seed: 1, wallClockSeconds: 0 });
    await t.host.until(100);
    expect(t.machine().mode).toBe('empty');
    expect((await t.lab.boot(request())).ok).toBe(true);
  });
});

describe('the console', () => {
  it('comes in order, in one piece per slice', async () => {
    await t.lab.boot(request());
    t.engine.print(1, 'Hello, ');
    t.engine.print(1, 'world\n');
    t.engine.print(2, 'other\n');
    await t.lab.pause();
    await settle();
    expect(t.chunks.map((c) => `${c.domid}:${new TextDecoder().decode(c.bytes)}`)).toEqual([
      '1:Hello, world\n',
      '2:other\n',
    ]);
  });
  it('holds a guest that prints faster than the face can show', async () => {
    t.face.showsText = false;
    await t.lab.boot(request());
    t.engine.print(1, 'x'.repeat(300_000));
    await t.lab.run();
    await t.host.until(100);
    expect(t.engine.now).toBe(0);
  });
});

describe('snapshots', () => {
  it('hold only what changed', async () => {
    await t.lab.subscribe({ machine: { view: 'machine' }, hypercalls: { view: 'hypercalls' } });
    await t.lab.boot(request());
    await t.lab.pause();
    await t.host.until(50);
    const holding = t.snapshots.filter((s) => 'hypercalls' in s.views);
    expect(holding).toHaveLength(1);
    expect(t.snapshots.length).toBeGreaterThan(1);
  });
  it('are not sent while one is unacknowledged', async () => {
    await t.lab.boot(request());
    await t.host.until(50);
    t.face.acknowledges = false;
    const before = t.snapshots.length;
    await t.lab.run();
    await t.host.until(500);
    expect(t.snapshots.length - before).toBe(1);
    t.lab.acknowledge(t.snapshots.at(-1)!.sequence);
    await t.host.until(600);
    expect(t.snapshots.length - before).toBe(2);
  });
  it('tell of a pause as soon as the one before is acknowledged', async () => {
    await t.lab.boot(request());
    await t.lab.run();
    await t.host.until(100);
    t.face.acknowledges = false;
    await t.host.until(200);
    await t.lab.pause();
    expect(t.machine().mode).toBe('running');
    t.face.acknowledges = true;
    t.lab.acknowledge(t.snapshots.at(-1)!.sequence);
    expect(t.machine().mode).toBe('paused');
  });
  it('come at most once per frame', async () => {
    await t.lab.boot(request());
    const before = t.snapshots.length;
    const at = t.host.now;
    await t.lab.run();
    await t.host.until(at + 1000);
    expect(t.snapshots.length - before).toBeLessThanOrEqual(1000 / 16 + 2);
    expect(t.snapshots.length - before).toBeGreaterThan(10);
  });
});

describe('files', () => {
  it('a saved lab takes the place of the machine and stands still', async () => {
    await t.lab.boot(request('one'));
    await t.lab.boot(request('two'));
    await t.lab.run();
    await t.host.until(t.host.now + 40);
    const saved = await t.lab.save();
    expect(t.machine().mode).toBe('running');
    const before = t.engine;
    const left = before.now;
    const opened = await t.lab.open(saved.ok ? saved.value : new Uint8Array());
    expect(opened).toEqual({ ok: true, value: { kind: 'lab', domids: [1, 2] } });
    expect(t.engine).not.toBe(before);
    expect(t.machine()).toMatchObject({ mode: 'paused', reason: 'paused as it was saved', memoryMiB: 16 });
    await t.lab.run();
    await t.host.until(t.host.now + 20);
    expect(t.engine.now).toBeGreaterThan(0);
    expect(before.now).toBe(left);
  });

  it('a refused file leaves the machine as it is, running', async () => {
    await t.lab.boot(request());
    await t.lab.run();
    const before = t.engine;
    expect((await t.lab.open(new Uint8Array())).ok).toBe(false);
    await t.host.until(t.host.now + 40);
    expect(t.engine).toBe(before);
    expect(before.now).toBeGreaterThan(0);
    expect(t.machine().mode).toBe('running');
  });

  it("a domain's file, and a domain that suspended itself, become one more domain", async () => {
    const file = new TextEncoder().encode('RINGSIDEDOM traveller');
    expect(await t.lab.open(file)).toEqual({ ok: true, value: { kind: 'domain', domids: [1] } });
    expect(t.engine.domains).toEqual(['traveller']);
    expect(t.machine().mode).toBe('paused');
    expect(await t.lab.restore(1)).toEqual({ ok: true, value: { domid: 2 } });
    expect((await t.lab.restore(7)).ok).toBe(false);
  });
});
