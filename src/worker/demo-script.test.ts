/** The user's part of a demo, done by the lab: the run is the one of the command line. */
import { describe, expect, it } from 'vitest';
import type { Manifest } from '../machine/manifest.ts';
import { guestFile, MACHINE, request } from '../machine/testing/boot.ts';
import { toText } from '../xen/toolstack/xenstore-wire.ts';
import { createEngine } from './create-engine.ts';
import type { Engine } from './engine.ts';

const manifest = JSON.parse(new TextDecoder().decode(guestFile('manifest.json'))) as Manifest;
const demoOf = (id: string) => manifest.demos.find((demo) => demo.id === id)!;

function start(id: string) {
  const demo = demoOf(id);
  let printed = '';
  const engine = createEngine(MACHINE, (_, bytes) => {
    printed += toText(bytes);
  });
  const domids = demo.domains.map((domain) => {
    const made = engine.addDomain(
      request(guestFile(domain.image), {
        name: id,
        commandLine: domain.cmdline,
        memoryMiB: domain.memoryMiB,
        abi: domain.abi,
        xen: domain.xen,
        privileged: domain.privileged,
      }),
    );
    if (!made.ok) throw new Error(made.error.message);
    return made.value.domid;
  });
  return { demo, engine, domids, text: () => printed };
}

const playing = (engine: Engine) => engine.facts().playing;

/** As the lab does: idle time passes up to the next deadline. */
function runTo(engine: Engine, ns: number): void {
  for (;;) {
    const { kind, nextDeadline } = engine.run(ns);
    if (kind === 'ended' || engine.now >= Math.floor(ns) || (kind === 'idle' && nextDeadline > ns)) return;
  }
}

describe('a script', () => {
  it('presses at its times, and the driver domain is content', () => {
    const { demo, engine, domids, text } = start('io-2006');
    engine.play({ domid: domids[0]!, lines: demo.input, presses: demo.presses! });
    expect(playing(engine)).toBe(true);
    runTo(engine, 2e9);
    for (const expected of demo.expect.console) expect(text()).toContain(expected);
    expect(engine.ended).toBe(true);
    expect(playing(engine)).toBe(false);
  });

  it('that begins late presses everything as much later', () => {
    const { demo, engine, domids, text } = start('io-2006');
    runTo(engine, 3e9);
    expect(text()).not.toContain('3 presses');
    engine.play({ domid: domids[0]!, lines: [], presses: demo.presses! });
    runTo(engine, 3.15e9);
    expect(text()).not.toContain('3 presses');
    runTo(engine, 4e9);
    expect(text()).toContain('io: everything tried, all as expected');
  });

  it('types when the guest has been silent, whatever pieces the run is cut into', () => {
    const ends = [1e6, 777_777.5].map((piece) => {
      const { demo, engine, domids, text } = start('userland');
      runTo(engine, 3e8);
      engine.play({ domid: domids[0]!, lines: demo.input, presses: [] });
      for (let at = engine.now + piece; !engine.ended && at < 2e10; at += piece) runTo(engine, at);
      expect(text()).toContain('userland: the last process has ended');
      return engine.instructions;
    });
    expect(ends[0]).toBe(ends[1]);
  });

  it('is over when its domain is gone', () => {
    const { engine, domids } = start('hello');
    engine.play({ domid: domids[0]!, lines: ['never read\r'], presses: [] });
    runTo(engine, 1e9);
    expect(engine.ended).toBe(true);
    expect(playing(engine)).toBe(false);
  });
});
