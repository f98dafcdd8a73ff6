/**
 * Every demo does what it promises, and does it again: run twice, with the same typing but cut into different pieces
 * and typed from a log the second time, the whole state of the machine is the same.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { audit } from '../xen/audit.ts';
import { toBytes } from '../xen/toolstack/xenstore-wire.ts';
import { type InputLog, InputReplay, timedPresses } from './input-log.ts';
import { InputScript } from './input-script.ts';
import { type Demo, type Manifest, missingTexts } from './manifest.ts';
import { Session, type SessionEnd } from './session.ts';
import { stateHash } from './state-hash.ts';
import { guestFile, MACHINE, request } from './testing/boot.ts';

const manifest = JSON.parse(new TextDecoder().decode(guestFile('manifest.json'))) as Manifest;

function start(demo: Demo, log?: InputLog): Session {
  const session = new Session({
    ...MACHINE,
    cpus: demo.cpus,
    replay: log ? new InputReplay(log) : timedPresses(demo.presses ?? []),
  });
  const domids = demo.domains.map((domain) => {
    const booted = session.boot(
      request(guestFile(domain.image), {
        name: demo.id,
        ...(domain.ramdisk ? { ramdisk: guestFile(domain.ramdisk) } : {}),
        commandLine: domain.cmdline,
        memoryMiB: domain.memoryMiB,
        vcpus: domain.vcpus,
        abi: domain.abi,
        xen: domain.xen,
        privileged: domain.privileged,
      }),
    );
    if (!booted.ok) throw new Error(booted.error.message);
    return booted.value.domid;
  });
  if (!log) session.script = new InputScript(domids[0]!, demo.input.map(toBytes));
  return session;
}

describe.each(manifest.demos)('$id', (demo) => {
  const bounds = {
    maxInstructions: demo.expect.maxInstructions,
    restoreSuspended: demo.then === 'restore',
  };
  const until = demo.expect.exit === 'running' ? demo.expect.console : undefined;
  let first: Session;
  let end: SessionEnd;
  beforeAll(() => {
    first = start(demo);
    end = first.run({ ...bounds, until });
  }, 120_000);

  it('prints and ends as the manifest promises', () => {
    const printed = [...first.consoles.values()].map((c) => c.text).join('\n');
    expect(missingTexts(demo.expect.console, printed)).toEqual([]);
    expect(end).toBe(until ? 'until' : 'ended');
    for (const domain of first.machine.domains)
      expect(domain.end?.reason ?? 'running').toBe(demo.expect.exit);
  });

  it('leaves the books of the frames in order', () => {
    expect(audit(first.machine.hv)).toEqual([]);
  });

  it('is the same run again, cut into pieces of 77,777 cycles and typed from the log', () => {
    const again = start(demo, first.machine.inputLog);
    expect(again.run({ ...bounds, until, strideNs: 77_777 })).toBe(end);
    expect(again.machine.instructions).toBe(first.machine.instructions);
    expect(again.machine.now).toBe(first.machine.now);
    expect(again.consoles).toEqual(first.consoles);
    expect(stateHash(again.machine)).toBe(stateHash(first.machine));
  });
});

describe('the state hash', () => {
  it('tells runs with different seeds, and different moments of a run, apart', () => {
    const hello = manifest.demos.find((demo) => demo.id === 'hello')!;
    const one = start(hello);
    one.run({ maxInstructions: 10_000 });
    const before = stateHash(one.machine);
    expect(stateHash(one.machine)).toBe(before);
    one.run({ maxInstructions: 10_001 });
    expect(stateHash(one.machine)).not.toBe(before);
  });
});
