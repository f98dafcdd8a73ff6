/**
 * Frames that are not the guest's: of other domains, of the hypervisor, I/O memory. And its own at the moment when
 * they change hands: nothing is freed or given away while it is mapped, pinned or in use.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { EBUSY, EINVAL, EPERM, ESRCH } from '../abi/errno.ts';
import { DOMID_IO, DOMID_SELF, DOMID_XEN } from '../domain.ts';
import { releaseDomainMemory } from '../domain-memory.ts';
import { OWNER_FREE, OWNER_ORPHAN } from '../frames.ts';
import { memoryOpRow } from '../hypercalls/memory-op.ts';
import { updateVaMappingOtherdomainRow } from '../hypercalls/update-va-mapping.ts';
import { vcpuOp } from '../hypercalls/vcpu-op.ts';
import { Attacker, COMBINATIONS } from '../testing/attacker.ts';
import { MemoryMachine } from '../testing/memory-machine.ts';

const DECREASE = 1;
const CLEAR_PAGE = 16;
const COPY_PAGE = 17;

describe.each(COMBINATIONS)('%s %s: frames of others', (abi, personality) => {
  let machine: MemoryMachine;
  let attacker: Attacker;
  let victim: Attacker;
  const modern = personality !== '3.0.2';
  const refused = (errno: number) => (modern ? errno : EINVAL);
  const named = (mfn: number) => `m${mfn.toString(16)}`;

  beforeEach(() => {
    machine = new MemoryMachine();
    victim = new Attacker(machine, abi, personality);
    attacker = new Attacker(machine, abi, personality);
  });
  /** Every frame that is not the attacker's, one of each sort. */
  function forbidden(): [string, number][] {
    const { frames, m2p } = machine.hv;
    return [
      ["another domain's page", victim.mfn('a')],
      ["another domain's table", victim.mfn('t')],
      ["another domain's shared_info", victim.guest.domain.sharedInfoMfn],
      ["another domain's grant table", victim.guest.domain.grantFrames[0]!],
      ['the M2P', m2p.firstMfn],
      ["the M2P's tables", (abi === 'x86_32' ? m2p.tables2L : m2p.tablesPae)[0]!],
      ['the reserved GDT page', frames.reservedGdt[0]!],
      ['I/O memory', 0xb8],
      ['a free frame', frames.owner.indexOf(OWNER_FREE, 256)],
      ['no frame', frames.total],
      ['far away', 0xfffff],
    ];
  }

  it('maps none of them, readable or writable', () => {
    for (const [what, mfn] of forbidden()) {
      for (const rights of ['', ' rw', ' us', ' rw us']) {
        const entry = named(mfn) + rights;
        expect(attacker.remap(5, entry), what).toBeLessThan(0);
        expect(attacker.update('t', 5, entry), what).toBeLessThan(0);
        expect(attacker.update(attacker.l2, 9, entry), what).toBeLessThan(0);
      }
    }
    expect(attacker.remap(5, named(victim.mfn('a')))).toBe(refused(EPERM));
    expect(attacker.remap(5, named(0xb8))).toBe(refused(EPERM));
    expect(attacker.remap(5, named(machine.hv.m2p.firstMfn))).toBe(refused(EPERM));
  });

  it('takes no table that maps one of them', () => {
    for (const [what, mfn] of forbidden()) {
      attacker.guest.write(`L1 table: 3 -> a, 4 -> ${named(mfn)}`);
      expect(attacker.pin(1, 'table'), what).toBeLessThan(0);
      expect(attacker.guest.books('table')).toBe('none refs 1');
    }
  });

  it('has no use for them in any other call', () => {
    for (const [what, mfn] of forbidden()) {
      expect(attacker.ext(0, mfn), `pin ${what}`).toBeLessThan(0);
      expect(attacker.ext(4, mfn), `unpin ${what}`).toBeLessThan(0);
      attacker.put(0x1800, [mfn]);
      attacker.put(0x1000, [0x1800, 1, 0, 0, DOMID_SELF]);
      expect(attacker.guest.call(memoryOpRow, DECREASE, 0x1000), `give back ${what}`).toBe(0);
      expect(attacker.store(mfn * 4096, 1), `store to ${what}`).toBeLessThan(0);
      attacker.put(0x1000, [(mfn << 12) | 1, 0, 0, 0]);
      if (mfn < 0xfffff) expect(attacker.store(mfn * 4096 + 1, 7), `M2P of ${what}`).toBeLessThan(0);
      expect(attacker.guest.call(vcpuOp, 10, 0, attackVcpuInfo(mfn)), `vcpu_info in ${what}`).toBe(EINVAL);
    }
    function attackVcpuInfo(mfn: number): number {
      attacker.put(0x1400, [mfn, 0, 0, 0]);
      return 0x1400;
    }
  });

  it('names another domain in no call', () => {
    const other = victim.guest.domain.id;
    const { low } = attacker.guest.entry(`${named(victim.mfn('a'))} rw`);
    const foreign = modern ? EPERM : ESRCH;
    expect(attacker.store(attacker.guest.at('t', 5), low, 0, other)).toBe(foreign);
    expect(attacker.store(attacker.guest.at('t', 5), low, 0, DOMID_XEN)).toBe(foreign);
    expect(attacker.ext(0, victim.mfn('a'), 0, other)).toBe(foreign);
    expect(attacker.ext(4, victim.mfn('r'), 0, other)).toBe(foreign);
    expect(attacker.guest.call(updateVaMappingOtherdomainRow, 0x5000, low, 0, 0, other)).toBe(EPERM);
    expect(attacker.reservation(DECREASE, [victim.mfn('a')], 0, other)).toBe(modern ? 0 : EPERM);
    expect(attacker.reservation(0, [0], 0, other)).toBe(modern ? 0 : EPERM);
    expect(machine.hv.frames.owner[victim.mfn('a')]).toBe(other);
  });

  it('writes to no I/O memory by the calls that fill frames', () => {
    machine.hv.memory.write32(0xb8000, 0x1234);
    for (const owner of [DOMID_IO, DOMID_SELF, DOMID_XEN]) {
      expect(attacker.ext(CLEAR_PAGE, 0xb8, 0, owner)).toBeLessThan(0);
      expect(attacker.ext(COPY_PAGE, 0xb8, 0xb9, owner)).toBeLessThan(0);
      expect(attacker.ext(COPY_PAGE, 0xb8, attacker.mfn('a'), owner)).toBeLessThan(0);
    }
    expect(machine.hv.memory.read32(0xb8000)).toBe(0x1234);
    if (modern) expect(attacker.ext(CLEAR_PAGE, 0xb8, 0, DOMID_IO)).toBe(EPERM);
  });

  it('fills or copies over no table', () => {
    if (!modern) return;
    expect(attacker.ext(CLEAR_PAGE, attacker.mfn('t'))).toBe(EINVAL);
    expect(attacker.ext(COPY_PAGE, attacker.mfn('t'), attacker.mfn('b'))).toBe(EINVAL);
    expect(attacker.ext(CLEAR_PAGE, victim.mfn('a'))).toBe(EINVAL);
    expect(attacker.ext(COPY_PAGE, attacker.mfn('a'), victim.mfn('a'))).toBe(EINVAL);
    expect(attacker.ext(COPY_PAGE, attacker.mfn('a'), machine.hv.m2p.firstMfn)).toBe(EINVAL);
  });
});

describe.each(COMBINATIONS)('%s %s: frames that change hands', (abi, personality) => {
  let machine: MemoryMachine;
  let attacker: Attacker;
  const modern = personality !== '3.0.2';
  const refused = (errno: number) => (modern ? errno : EINVAL);
  const owner = (mfn: number) => machine.hv.frames.owner[mfn];

  beforeEach(() => {
    machine = new MemoryMachine();
    attacker = new Attacker(machine, abi, personality);
  });

  it('are not free while they are mapped', () => {
    const mfn = attacker.mfn('a');
    const { id } = attacker.guest.domain;
    expect(attacker.decrease('a')).toBe(1);
    expect(owner(mfn)).toBe(id);
    // Given back once only, whatever is mapped.
    expect(attacker.decrease('a')).toBe(0);
    expect(attacker.remap(3, 'none')).toBe(0);
    expect(owner(mfn)).toBe(OWNER_FREE);
    expect(attacker.decrease('a')).toBe(0);
  });

  it('are not free while a table in use names them, or while they are that table', () => {
    const t = attacker.mfn('t');
    expect(attacker.decrease('t', 'r')).toBe(2);
    expect(owner(t)).toBe(attacker.guest.domain.id);
    expect(owner(attacker.mfn('r'))).toBe(attacker.guest.domain.id);
    expect(attacker.remap(5, 't rw')).toBe(refused(EBUSY));
  });

  it('lose their pin when they are given back, and nothing else', () => {
    attacker.guest.write('L1 table: 0 -> x rw');
    expect(attacker.pin(1, 'table')).toBe(0);
    const mfn = attacker.mfn('table');
    expect(attacker.decrease('table')).toBe(1);
    expect(owner(mfn)).toBe(OWNER_FREE);
    expect(attacker.guest.books('x')).toBe('none refs 1');
    expect(attacker.unpin('table')).toBe(EINVAL);
  });

  it('stay when they hold descriptors in use', () => {
    expect(attacker.setGdt(['gdt'], 1)).toBe(0);
    const mfn = attacker.mfn('gdt');
    expect(attacker.decrease('gdt')).toBe(1);
    expect(owner(mfn)).toBe(attacker.guest.domain.id);
    expect(attacker.setGdt([], 0)).toBe(0);
    expect(owner(mfn)).toBe(OWNER_FREE);
  });

  it('stay when a vcpu has its vcpu_info there', () => {
    attacker.put(0x1400, [attacker.mfn('info'), 0, 0, 0]);
    expect(attacker.guest.call(vcpuOp, 10, 0, 0x1400)).toBe(0);
    const mfn = attacker.mfn('info');
    expect(attacker.pin(1, 'info')).toBe(EINVAL);
    expect(attacker.decrease('info')).toBe(1);
    expect(owner(mfn)).toBe(attacker.guest.domain.id);
    expect(attacker.guest.call(vcpuOp, 10, 0, 0x1400)).toBe(EINVAL);
  });

  it('of the hypervisor are not the guest’s to give back', () => {
    const { sharedInfoMfn, grantFrames } = attacker.guest.domain;
    for (const mfn of [sharedInfoMfn, grantFrames[0]!]) {
      expect(attacker.reservation(DECREASE, [mfn])).toBe(0);
      expect(owner(mfn)).toBe(attacker.guest.domain.id);
      expect(attacker.ext(0, mfn)).toBe(EINVAL);
    }
  });

  it('come zeroed, without a type, from somebody else’s hands', () => {
    machine.hv.memory.write32(attacker.mfn('x') * 4096, 0x5ec2e7);
    expect(attacker.decrease('x')).toBe(1);
    attacker.put(0x1a00, [0]);
    for (let i = 0; i < 4; i++) attacker.reservation(0, [0]);
    const { frames, memory } = machine.hv;
    for (let mfn = 256; mfn < frames.heapStart; mfn++) {
      const known = [...attacker.guest.names.values()].includes(mfn);
      if (owner(mfn) === attacker.guest.domain.id && !known) expect(memory.read32(mfn * 4096)).toBe(0);
    }
  });

  it('exchanges no frame that anything holds, and no list that it cannot read', () => {
    if (!modern) return;
    const exchange = (...names: string[]) =>
      attacker.exchange(
        names.map((name) => attacker.mfn(name)),
        0,
        names.length,
        0,
      );
    expect(exchange('a')).toBe(EINVAL);
    expect(exchange('b')).toBe(EINVAL);
    expect(exchange('t')).toBe(EINVAL);
    expect(attacker.pin(1, 'pinned')).toBe(0);
    expect(exchange('pinned')).toBe(EINVAL);
    // The same frame twice.
    expect(exchange('x', 'x')).toBeLessThan(0);
    expect(attacker.guest.books('y')).toBe('none refs 1');
    expect(exchange('y')).toBe(0);
    // Sizes that disagree or overflow, lists in the hypervisor's range.
    expect(attacker.exchange([attacker.mfn('z')], 0, 2, 0)).toBe(EINVAL);
    expect(attacker.exchange([attacker.mfn('z')], 31, 1, 31)).toBe(EINVAL);
    expect(attacker.exchange([attacker.mfn('z')], 0, 1, 0, 0xf580_0000)).toBeLessThan(0);
    expect(attacker.exchange([attacker.mfn('z')], 0, 1, 0, 0xffff_fffc)).toBeLessThan(0);
    expect(attacker.guest.books('z')).toBe('none refs 1');
  });

  it('pass to nobody when their domain dies while another maps them', () => {
    const reader = new Attacker(machine, abi, personality);
    attacker.guest.run();
    attacker.grant(0, 1, reader.guest.domain.id, attacker.mfn('page'));
    reader.guest.run();
    const { id } = attacker.guest.domain;
    const { handle } = reader.map(0x5000, 2, 0, id);
    const mfn = attacker.mfn('page');
    releaseDomainMemory(machine.hv, attacker.guest.domain);
    machine.hv.domains[id] = undefined;
    machine.check();
    expect(owner(mfn)).toBe(OWNER_ORPHAN);
    // The next domain of that number has no claim to it.
    const heir = new Attacker(machine, abi, personality);
    expect(heir.guest.domain.id).toBe(id);
    expect(heir.remap(5, `m${mfn.toString(16)} rw`)).toBeLessThan(0);
    expect(heir.reservation(DECREASE, [mfn])).toBe(0);
    reader.guest.run();
    expect(reader.remap(6, `m${mfn.toString(16)} rw`)).toBeLessThan(0);
    expect(reader.unmap(0x5000, handle)).toBe(0);
    expect(owner(mfn)).toBe(OWNER_FREE);
  });
});

describe('a privileged domain', () => {
  it('maps I/O memory and the M2P, but writes neither tables nor the hypervisor', () => {
    const machine = new MemoryMachine();
    const victim = new Attacker(machine, 'x86_32p', '4.17');
    const control = new Attacker(machine, 'x86_32p', '4.17', true);
    const { frames, m2p } = machine.hv;
    const map = (mfn: number, rights: string, owner: number) => {
      const { low, high } = control.guest.entry(`m${mfn.toString(16)}${rights}`);
      return control.store(control.guest.at('t', 5), low, high, owner);
    };
    expect(map(0xb8, ' rw', DOMID_IO)).toBe(0);
    expect(map(m2p.firstMfn, '', DOMID_XEN)).toBe(0);
    expect(map(m2p.firstMfn, ' rw', DOMID_XEN)).toBe(EPERM);
    expect(map(frames.reservedGdt[0]!, '', DOMID_XEN)).toBe(EPERM);
    expect(map(frames.total, ' rw', DOMID_IO)).toBe(EPERM);
    expect(map(0xf_ffff, ' rw', DOMID_IO)).toBe(EPERM);
    expect(map(victim.mfn('x'), ' rw', victim.guest.domain.id)).toBe(0);
    expect(map(victim.mfn('t'), ' rw', victim.guest.domain.id)).toBe(EBUSY);
    expect(map(victim.mfn('t'), '', victim.guest.domain.id)).toBe(0);
    expect(map(victim.mfn('x'), ' rw', DOMID_SELF)).toBe(EPERM);
    // Tables of its own cannot be made of another's frames.
    const { low } = control.guest.entry(`m${victim.mfn('t').toString(16)} rw us`);
    expect(control.store(control.guest.at('d', 7), low, 0, victim.guest.domain.id)).toBe(EINVAL);
    expect(control.ext(CLEAR_PAGE, m2p.firstMfn, 0, DOMID_XEN)).toBeLessThan(0);
    expect(control.ext(CLEAR_PAGE, frames.reservedGdt[0]!, 0, DOMID_XEN)).toBeLessThan(0);
    expect(control.ext(COPY_PAGE, victim.mfn('t'), victim.mfn('x'), victim.guest.domain.id)).toBeLessThan(0);
  });
});
