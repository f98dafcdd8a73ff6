/**
 * Saving changes nothing: a demo that is stopped, saved, read into a new machine and run on ends in the same state,
 * to the last bit, as one that was left alone. And a file that is damaged in any way is refused with a reason.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { toBytes, toText } from '../xen/toolstack/xenstore-wire.ts';
import { InputReplay } from './input-log.ts';
import { InputScript } from './input-script.ts';
import type { Machine } from './machine.ts';
import type { Demo, Manifest } from './manifest.ts';
import { crc32, isSaveFile, packSave } from './save-file.ts';
import { loadLab, saveLab } from './save-lab.ts';
import { Session } from './session.ts';
import { stateHash } from './state-hash.ts';
import { guestFile, MACHINE, request } from './testing/boot.ts';

const manifest = JSON.parse(new TextDecoder().decode(guestFile('manifest.json'))) as Manifest;
const demo = (id: string): Demo => manifest.demos.find((d) => d.id === id)!;
/** Small machines: what is saved is what matters. */
const SMALL = { ...MACHINE, memoryMiB: 64 };

function boot(session: Session, { id, domains }: Demo): number[] {
  return domains.map((domain) => {
    const booted = session.boot(
      request(guestFile(domain.image), {
        name: id,
        commandLine: domain.cmdline,
        memoryMiB: domain.memoryMiB,
        abi: domain.abi,
        xen: domain.xen,
        privileged: domain.privileged,
      }),
    );
    if (!booted.ok) throw new Error(booted.error.message);
    return booted.value.domid;
  });
}

function load(file: Uint8Array, print: (domid: number, bytes: Uint8Array) => void = () => {}): Machine {
  const loaded = loadLab(file, print);
  if (!loaded.ok) throw new Error(`${loaded.error.code}: ${loaded.error.message}`);
  return loaded.value;
}

describe.each([
  ['hello-2006', 1],
  ['pagetables', 1],
  ['ticks', 1],
  ['pingpong-mixed', 1],
  ['pingpong', 3],
  ['userland', 1],
  ['userland-2006', 2],
  ['hostile', 1],
] as const)('%s on %i CPUs', (id, cpus) => {
  const chosen = demo(id);
  const bounds = { maxInstructions: chosen.expect.maxInstructions };
  const options = { ...SMALL, cpus };
  let alone: Session;
  beforeAll(() => {
    alone = new Session(options);
    const [first] = boot(alone, chosen);
    alone.script = new InputScript(first!, chosen.input.map(toBytes));
    alone.run(bounds);
  }, 60_000);

  it('runs on as if it had not been saved, five times in one run', () => {
    const before = new Session({ ...options, replay: new InputReplay(alone.machine.inputLog) });
    boot(before, chosen);
    let printed = '';
    let machine = before.machine;
    for (const part of [0, 0.13, 0.5, 0.77, 0.98]) {
      const cut = Math.floor(alone.machine.now * part);
      while (machine.now < cut && !machine.ended) machine.run(cut);
      const here = stateHash(machine);
      const file = saveLab(machine);
      expect(stateHash(machine), 'saving is looking only').toBe(here);
      const after = load(file, (_domid, bytes) => {
        printed += toText(bytes);
      });
      expect(stateHash(after)).toBe(here);
      expect(after.instructions).toBe(machine.instructions);
      machine = after;
    }
    for (let end = false; !end; ) end = machine.run(machine.now + 1e9).kind === 'ended';
    expect(machine.instructions).toBe(alone.machine.instructions);
    expect(machine.now).toBe(alone.machine.now);
    expect(stateHash(machine)).toBe(stateHash(alone.machine));
    expect(machine.inputLog.entries).toEqual(alone.machine.inputLog.entries);
    expect(printed).not.toBe('');
  }, 60_000);
});

describe('a saved lab', () => {
  let file: Uint8Array;
  beforeAll(() => {
    const session = new Session({ ...MACHINE, memoryMiB: 16 });
    boot(session, demo('hello'));
    session.machine.run(100_000);
    file = saveLab(session.machine);
  });
  const refusal = (bytes: Uint8Array) => {
    const loaded = loadLab(bytes, () => {});
    return loaded.ok ? null : loaded.error;
  };

  it('is compressed, says what it is, and is the same each time', () => {
    expect(file.length).toBeLessThan(300_000);
    expect(isSaveFile(file, 'LAB ')).toBe(true);
    expect(saveLab(load(file))).toEqual(file);
  });

  it('keeps the clock, which stands at a whole cycle whatever fraction the host asked for', () => {
    const session = new Session({ ...MACHINE, memoryMiB: 16 });
    boot(session, demo('ticks'));
    for (let i = 0; i < 500; i++) {
      session.machine.run(session.machine.now + 50_000.3);
      expect(session.machine.now % 1).toBe(0);
    }
    const saved = load(saveLab(session.machine));
    expect(saved.now).toBe(session.machine.now);
    expect(stateHash(saved)).toBe(stateHash(session.machine));
  });

  it('knows the symbols of its domains', () => {
    expect(load(file).toolstack.symbolsOf(1)?.addressOf('guest_main')).toBeGreaterThan(0xc000_0000);
  });

  it('is refused when it was cut, at every length', () => {
    for (let length = 0; length < file.length; length += length < 80 ? 1 : 4999) {
      expect(refusal(file.subarray(0, length))?.code).toBe(length < 8 ? 'not-a-save-file' : 'truncated');
    }
  });

  it('is refused when any bit was changed', () => {
    for (let at = 0; at < file.length; at += at < 80 ? 1 : 1009) {
      const damaged = file.slice();
      damaged[at]! ^= 1 << (at & 7);
      expect(refusal(damaged), `byte ${at}`).not.toBeNull();
    }
  });

  it('is refused when something was put behind it', () => {
    const longer = new Uint8Array(file.length + 1);
    longer.set(file);
    expect(refusal(longer)?.code).toBe('bad-checksum');
  });

  it('tells versions and kinds apart', () => {
    const other = file.slice();
    other[12] = 9;
    expect(refusal(other)).toMatchObject({ code: 'wrong-version', facts: { version: 9, readable: 1 } });
    expect(refusal(packSave('DOM ', {}))?.code).toBe('wrong-kind');
    expect(refusal(toBytes('MZ, some other program'))?.code).toBe('not-a-save-file');
  });

  /** The file with a change to its head, or to an unpacked section, and right checksums all over. */
  it('is refused when a section claims to be larger than any machine', () => {
    const bomb = file.slice();
    const view = new DataView(bomb.buffer);
    view.setUint32(24 + 8, 0xf000_0000, true);
    view.setUint32(24 + 32, crc32(bomb.subarray(0, 24 + 32)), true);
    expect(refusal(bomb)?.code).toBe('too-large');
  });

  it('is refused when its sections are missing', () => {
    expect(refusal(packSave('LAB ', { BOOK: new Uint8Array(3) }))).toMatchObject({
      code: 'missing-section',
      facts: { section: 'RAM ' },
    });
  });

  it('is refused when its contents are none of ours', () => {
    expect(refusal(packSave('LAB ', { BOOK: new Uint8Array(3), 'RAM ': new Uint8Array(4) }))?.code).toBe(
      'bad-contents',
    );
  });

  it('is refused when its books disagree, although every checksum is right', () => {
    const machine = load(file);
    const mfn = machine.hv.domains[1]!.vcpus[0]!.rootMfn;
    machine.hv.frames.typeCount[mfn]!++;
    expect(refusal(saveLab(machine))).toMatchObject({ code: 'books-disagree' });
    const second = load(file);
    second.hv.frames.owner[second.hv.frames.freeLists().domain[5]!] = 1;
    expect(refusal(saveLab(second))?.code).toBe('bad-contents');
  });
});
