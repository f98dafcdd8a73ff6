import { describe, expect, it } from 'vitest';
import { Machine } from '../machine/machine.ts';
import { guestFile, MACHINE, request } from '../machine/testing/boot.ts';
import { domainsView } from './domains.ts';
import { runstatesView } from './runstates.ts';

function boot(cpus: number, image: string, commandLine: string, vcpus = 1): Machine {
  const machine = new Machine({ ...MACHINE, cpus }, () => {});
  const made = machine.addDomain(request(guestFile(image), { memoryMiB: 8, commandLine, vcpus }));
  expect(made.ok).toBe(true);
  return machine;
}

describe('the history of runstates', () => {
  it('is whole from the creation on while few changes were made', () => {
    const machine = boot(1, 'ticks-x86_32p.elf', 'count=5 period=10');
    machine.run(40e6);
    const [lane] = runstatesView(machine.hv, 1e12).lanes;
    expect(lane!.keptFrom).toBe(lane!.createdAt);
    expect(lane!.history[0]!.from).toBe(lane!.createdAt);
  });

  it('says from when on it is whole once the oldest changes were dropped', () => {
    const machine = boot(1, 'ticks-x86_32p.elf', 'count=600 period=1');
    machine.run(550e6);
    const [lane] = runstatesView(machine.hv, 1e12).lanes;
    expect(lane!.history.length).toBeLessThanOrEqual(512);
    expect(lane!.keptFrom).toBeGreaterThan(lane!.createdAt);
    expect(lane!.history[0]!.from).toBe(lane!.keptFrom);
  });
});

describe('on a machine of two CPUs', () => {
  it('every running vcpu is on one, no two on the same, in both views', () => {
    const machine = boot(2, 'smp-x86_32p.elf', '', 4);
    let most = 0;
    for (let at = 1e5; at < 12e6; at += 1e5) {
      machine.run(at);
      const { lanes } = runstatesView(machine.hv, 1e6);
      const running = lanes.filter((lane) => lane.state === 'running');
      const on = running.map((lane) => lane.pcpu);
      expect(new Set(on).size).toBe(on.length);
      for (const pcpu of on) expect([0, 1]).toContain(pcpu);
      most = Math.max(most, on.length);
      expect(domainsView(machine.hv).domains[0]!.vcpus.map((vcpu) => vcpu.pcpu)).toEqual(
        lanes.map((lane) => lane.pcpu),
      );
    }
    expect(most).toBe(2);
  });
});
