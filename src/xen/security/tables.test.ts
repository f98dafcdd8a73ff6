/** Page tables as a way in: no guest ever gets a writable mapping of a table, nor a table that was not checked. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EBUSY, EINVAL, EPERM } from '../abi/errno.ts';
import { Attacker, COMBINATIONS } from '../testing/attacker.ts';
import { MemoryMachine } from '../testing/memory-machine.ts';

describe.each(COMBINATIONS)('%s %s: page tables', (abi, personality) => {
  let machine: MemoryMachine;
  let attacker: Attacker;
  const refused = (errno: number) => (personality === '3.0.2' ? EINVAL : errno);
  const pae = abi === 'x86_32p';
  const frames = () => machine.hv.frames;

  beforeEach(() => {
    machine = new MemoryMachine();
    attacker = new Attacker(machine, abi, personality);
  });

  it('maps no table for writing, by either call', () => {
    for (const table of pae ? ['t', 'd', 'top', 'r'] : ['t', 'r']) {
      expect(attacker.remap(5, `${table} rw`), table).toBe(refused(EBUSY));
      expect(attacker.update('t', 5, `${table} rw us`), table).toBe(refused(EBUSY));
      expect(attacker.remap(5, `${table} us`), table).toBe(0);
      // The fast path: the same frame, and one right more.
      expect(attacker.remap(5, `${table} us rw`), table).toBe(refused(EBUSY));
      expect(attacker.update('t', 5, `${table} us a d rw`), table).toBe(refused(EBUSY));
    }
  });

  it('keeps what a table was while the entry with the added right is refused', () => {
    const before = attacker.entry('t', 2);
    expect(attacker.remap(2, 't rw')).toBe(refused(EBUSY));
    expect(attacker.entry('t', 2)).toBe(before);
  });

  it('pins no frame that is mapped for writing, at any level', () => {
    expect(attacker.pin(1, 'a')).toBe(EINVAL);
    if (!(pae && personality === '3.0.2')) expect(attacker.pin(2, 'a')).toBe(EINVAL);
    if (pae) {
      attacker.guest.write('L3 a: 3 -> free');
      expect(attacker.pin(3, 'a')).toBe(EINVAL);
    }
    expect(attacker.remap(3, 'none')).toBe(0);
    expect(attacker.pin(1, 'a')).toBe(0);
  });

  it('takes no L1 table that maps itself for writing', () => {
    attacker.guest.write('L1 own: 0 -> own rw');
    expect(attacker.pin(1, 'own')).toBe(refused(EBUSY));
    expect(attacker.update(attacker.l2, 1, 'own rw us')).toBe(refused(EBUSY));
    expect(attacker.guest.books('own')).toBe('none refs 1');
  });

  it('takes no L1 table that maps the table above it for writing', () => {
    attacker.guest.write(`L1 below: 7 -> ${attacker.l2} rw`);
    expect(attacker.update(attacker.l2, 1, 'below rw us')).toBe(refused(EBUSY));
    expect(attacker.guest.books('below')).toBe('none refs 1');
  });

  it('undoes a validation that fails at its last entry', () => {
    attacker.guest.write('L1 half: 0 -> x rw, 1 -> y rw, 2 -> b, 511 -> t rw');
    expect(attacker.pin(1, 'half')).toBe(refused(EBUSY));
    for (const name of ['x', 'y']) expect(attacker.guest.books(name)).toBe('none refs 1');
    expect(attacker.pin(1, 'x')).toBe(0);
  });

  it('never uses a frame as tables of two levels', () => {
    attacker.guest.write('L1 low: 0 -> x');
    expect(attacker.pin(1, 'low')).toBe(0);
    if (pae && personality === '3.0.2') {
      // There PIN_L2 does nothing at all.
      expect(attacker.pin(2, 'low')).toBe(0);
      expect(attacker.guest.books('low')).toBe('L1 uses 1 refs 2 pinned');
    } else expect(attacker.pin(2, 'low')).toBe(EINVAL);
    if (pae) {
      expect(attacker.pin(3, 'low')).toBe(EINVAL);
      expect(attacker.update('r', 1, 'low')).toBe(EINVAL);
    }
    expect(attacker.update(attacker.l2, 1, `${attacker.l2} rw us`)).toBe(EINVAL);
  });

  it('pins once and unpins once', () => {
    expect(attacker.pin(1, 'fresh')).toBe(0);
    expect(attacker.pin(1, 'fresh')).toBe(EINVAL);
    expect(attacker.guest.books('fresh')).toBe('L1 uses 1 refs 2 pinned');
    expect(attacker.unpin('fresh')).toBe(0);
    expect(attacker.unpin('fresh')).toBe(EINVAL);
    expect(attacker.guest.books('fresh')).toBe('none refs 1');
    expect(attacker.unpin('a')).toBe(EINVAL);
    expect(attacker.unpin('t')).toBe(EINVAL);
  });

  it('keeps a table checked while CR3 names it, though its pin is gone', () => {
    expect(attacker.unpin('r')).toBe(0);
    expect(attacker.remap(5, 'r rw')).toBe(refused(EBUSY));
    expect(attacker.remap(5, 't rw')).toBe(refused(EBUSY));
  });

  it('changes no entry of the hypervisor, in whatever table', () => {
    const table = pae ? 'top' : 'r';
    const first = pae ? 428 : 1008;
    const last = pae ? 511 : 1023;
    for (const index of [first, last]) {
      expect(attacker.update(table, index, 'page rw')).toBe(refused(EPERM));
      expect(attacker.update(table, index, 'none')).toBe(refused(EPERM));
    }
    expect(attacker.update(table, first - 1, 't')).toBe(0);
    if (personality !== '3.0.2') expect(attacker.update(table, first, 'none', 2)).toBe(EPERM);
  });

  it('maps nothing at an address of the hypervisor', () => {
    const { domain } = attacker.guest;
    for (const va of [domain.holeStart, domain.holeStart + 4096, 0xffff_f000]) {
      expect(attacker.remap(va / 4096, 'a rw')).toBe(EINVAL);
    }
  });

  it('writes to no table by mmu_update of an unaligned address, nor beyond one entry', () => {
    const at = attacker.guest.at('t', 5);
    const { low } = attacker.guest.entry('t rw');
    // The low bits are the command: what is left is aligned.
    for (let command = 0; command < attacker.guest.domain.entryBytes; command++) {
      if (command === 1) continue;
      const answer = attacker.store(at + command, low);
      expect(answer, `command ${command}`).toBeLessThan(0);
    }
    expect(attacker.entry('t', 5)).toBe(0);
  });

  it('stores a word into an ordinary frame only while it can be writable', () => {
    expect(attacker.update('free', 3, 'page rw')).toBe(0);
    expect(attacker.setGdt(['gdt'], 1)).toBe(0);
    expect(attacker.store(attacker.mfn('gdt') * 4096, 0xffff)).toBe(EINVAL);
    expect(attacker.store(machine.hv.m2p.firstMfn * 4096, 0)).toBe(EINVAL);
    expect(attacker.store(frames().reservedGdt[0]! * 4096, 0)).toBe(EINVAL);
    expect(attacker.store(0xb8000, 0)).toBe(EINVAL);
    expect(attacker.store(frames().total * 4096, 0)).toBe(EINVAL);
    expect(attacker.store(0xffff_fff8, 0)).toBe(EINVAL);
  });

  it('writes no address bits beyond the machine', () => {
    if (!pae) return;
    const { low } = attacker.guest.entry('a rw');
    for (const high of [1, 0x10, 0xfff, 0x1000, 0x7fff_ffff]) {
      expect(attacker.store(attacker.guest.at('t', 5), low, high), high.toString(16)).toBeLessThan(0);
      expect(attacker.store(attacker.guest.at(attacker.l2, 5), low, high), high.toString(16)).toBeLessThan(0);
      expect(attacker.store(attacker.guest.at('r', 1), low, high), high.toString(16)).toBeLessThan(0);
    }
  });

  it('sets no large pages and no global bits above the lowest level', () => {
    for (const flag of ['ps', 'g', 'ps g']) {
      expect(attacker.update(attacker.l2, 5, `b ${flag}`)).toBe(EINVAL);
      // Also not over an entry that is there with the same frame and rights.
      expect(attacker.update(attacker.l2, 0, `t rw us ${flag}`)).toBe(EINVAL);
    }
    expect(attacker.update('t', 5, 'b ps')).toBe(EINVAL);
  });

  it('lets nobody else change its tables', () => {
    const other = new Attacker(machine, abi, personality);
    attacker.guest.run();
    const { low } = attacker.guest.entry('a rw');
    expect(attacker.store(other.guest.at('t', 5), low)).toBe(EINVAL);
    expect(attacker.store(other.guest.at('t', 5), low, 0, other.guest.domain.id)).toBeLessThan(0);
    const owner = ((other.guest.domain.id + 1) << 16) | 0x7ff0;
    expect(attacker.store(other.guest.at('t', 5), low, 0, owner)).toBeLessThan(0);
    expect(attacker.ext(0, other.mfn('a'))).toBe(EINVAL);
    expect(attacker.ext(5, other.mfn('r'))).toBeLessThan(0);
  });
});

describe('2-level linear tables', () => {
  let machine: MemoryMachine;
  let attacker: Attacker;
  beforeEach(() => {
    machine = new MemoryMachine();
    attacker = new Attacker(machine, 'x86_32', '3.0.2');
  });

  it('may name their own table, but not with the right to write', () => {
    expect(attacker.update('r', 5, 'r us')).toBe(0);
    expect(attacker.update('r', 5, 'r us rw')).toBe(EINVAL);
    expect(attacker.update('r', 6, 'r rw')).toBe(EINVAL);
    expect(attacker.update('r', 5, 'r us a d')).toBe(0);
  });

  it('are checked for that right already when the table is taken', () => {
    attacker.guest.write('L2 self: 0 -> self rw us');
    expect(attacker.pin(2, 'self')).toBe(EINVAL);
    attacker.guest.write('L2 self: 0 -> self us');
    expect(attacker.pin(2, 'self')).toBe(0);
    expect(attacker.guest.books('self')).toBe('L2 uses 1 refs 2 pinned');
    expect(attacker.unpin('self')).toBe(0);
    expect(attacker.guest.books('self')).toBe('none refs 1');
  });

  it('hold the other table that they name, which stays a table as long', () => {
    attacker.guest.write('L2 one: 1 -> t rw us');
    expect(attacker.pin(2, 'one')).toBe(0);
    expect(attacker.update('r', 5, 'one us rw')).toBe(EINVAL);
    expect(attacker.update('r', 5, 'one us')).toBe(0);
    expect(attacker.unpin('one')).toBe(0);
    expect(attacker.remap(5, 'one rw')).toBe(EINVAL);
    expect(attacker.update('r', 5, 'none')).toBe(0);
    expect(attacker.remap(5, 'one rw')).toBe(0);
  });

  it('give no way to the entries of a table of somebody else', () => {
    const other = new Attacker(machine, 'x86_32', '3.0.2');
    attacker.guest.run();
    expect(attacker.update('r', 5, `m${other.mfn('r').toString(16)} us`)).toBe(EINVAL);
    expect(attacker.update('r', 5, `m${other.mfn('t').toString(16)} us rw`)).toBe(EINVAL);
  });

  it('unwind in any order, also in a circle', () => {
    attacker.guest.write('L2 one: 0 -> t rw us\n L2 two: 0 -> t rw us');
    expect([attacker.pin(2, 'one'), attacker.pin(2, 'two')]).toEqual([0, 0]);
    expect(attacker.update('one', 3, 'two us')).toBe(0);
    expect(attacker.update('two', 3, 'one us')).toBe(0);
    expect([attacker.unpin('one'), attacker.unpin('two')]).toEqual([0, 0]);
    // They hold each other now: nothing of them can be written or freed until an entry is cut.
    expect(attacker.remap(5, 'one rw')).toBe(EINVAL);
    expect(attacker.update('one', 3, 'none')).toBe(0);
    expect(attacker.remap(5, 'one rw')).toBe(0);
    expect(attacker.remap(6, 'two rw')).toBe(0);
  });

  it('do not end the engine by their number', () => {
    // A chain of tables, each held by the one before: dropping the first drops all.
    const names = Array.from({ length: 20 }, (_, i) => `chain${i}`);
    for (const [i, name] of names.entries()) {
      expect(attacker.pin(2, name)).toBe(0);
      if (i > 0) {
        expect(attacker.update(name, 0, `${names[i - 1]} us`)).toBe(0);
        expect(attacker.unpin(names[i - 1]!)).toBe(0);
      }
    }
    expect(attacker.unpin(names.at(-1)!)).toBe(0);
    for (const name of names) expect(attacker.guest.books(name)).toBe('none refs 1');
  });
});

describe.each(['3.0.2', '4.17'] as const)('PAE %s: L3 tables and their slot 3', (personality) => {
  let machine: MemoryMachine;
  let attacker: Attacker;
  const modern = personality === '4.17';
  beforeEach(() => {
    machine = new MemoryMachine();
    attacker = new Attacker(machine, 'x86_32p', personality);
  });

  it('share no L2 table of slot 3, and take none from another slot', () => {
    attacker.guest.write('L3 second: 0 -> d, 3 -> top');
    expect(attacker.pin(3, 'second')).toBe(modern ? EINVAL : EINVAL);
    attacker.guest.write('L3 third: 0 -> top, 3 -> own');
    expect(attacker.pin(3, 'third')).toBe(modern ? EINVAL : EINVAL);
    attacker.guest.write('L3 fourth: 0 -> same, 3 -> same');
    expect(attacker.pin(3, 'fourth')).toBe(modern ? EINVAL : EINVAL);
    expect(attacker.guest.books('same')).toBe('none refs 1');
    expect(attacker.ext(5, attacker.mfn('second'))).toBeLessThan(0);
  });

  it('do not lose or change slot 3 while in use', () => {
    expect(attacker.update('r', 3, 'none')).toBe(EINVAL);
    expect(attacker.update('r', 3, 'other')).toBe(EINVAL);
    expect(attacker.update('r', 3, 'top')).toBe(EINVAL);
    attacker.guest.write('L3 empty: 0 -> d');
    expect(attacker.pin(3, 'empty')).toBe(EINVAL);
  });

  it('have four entries: what stands behind them is no way in', () => {
    expect(attacker.update('r', 4, 't')).toBe(EINVAL);
    expect(attacker.update('r', 511, 't')).toBe(EINVAL);
    attacker.guest.write('L3 long: 3 -> own, 4 -> t rw, 511 -> t rw');
    expect(attacker.pin(3, 'long')).toBe(0);
    expect(attacker.remap(5, 'long rw')).toBe(modern ? EBUSY : EINVAL);
    // As an L2 or L1 table it does not pass, whatever its other words say.
    expect(attacker.update('d', 5, 'long rw us')).toBe(modern ? EINVAL : EINVAL);
    expect(attacker.update('r', 1, 'long')).toBe(modern ? EINVAL : EINVAL);
  });

  it('keep accessed and dirty bits only where the processor sets them', () => {
    if (!modern) return;
    // Command 2 on tables of any level takes the old entry's A and D, and nothing else of it.
    expect(attacker.update('d', 0, 't rw us a')).toBe(0);
    expect(attacker.update('d', 0, 't us', 2)).toBe(0);
    expect(attacker.entry('d', 0) & 0xfff).toBe(0x25);
    expect(attacker.update('r', 1, 'none', 2)).toBe(0);
    expect(attacker.update('t', 3, 'b', 2)).toBe(0);
    expect(attacker.update('t', 3, 't rw', 2)).toBe(EBUSY);
  });
});
