import { beforeEach, describe, expect, it } from 'vitest';
import { Machine } from '../../machine/machine.ts';
import { guestFile, MACHINE, request } from '../../machine/testing/boot.ts';
import type { Domain } from '../domain.ts';
import { TYPE_l1, TYPE_none, TYPE_writable } from '../frames.ts';
import { portPending } from '../vcpu-info.ts';
import { toBytes } from './xenstore-wire.ts';

const IN_PROD = 3076;
let machine: Machine;
let domain: Domain;
let printed: string;

beforeEach(() => {
  printed = '';
  machine = new Machine({ ...MACHINE, memoryMiB: 32 }, (domid, bytes, emergency) => {
    printed += `d${domid}${emergency ? '!' : ''}:${String.fromCharCode(...bytes)}`;
  });
  machine.addDomain(request(guestFile('hello-x86_32p.elf'), { memoryMiB: 8 }));
  domain = machine.hv.domains[1]!;
});
const inProd = () => machine.hv.memory.read32(domain.consoleMfn * 4096 + IN_PROD);

describe('the console', () => {
  it('keeps what is typed before the guest has used the channel, and raises nothing', () => {
    machine.input(1, toBytes('abc'));
    expect(inProd()).toBe(3);
    expect(portPending(machine.hv, domain, domain.consolePort)).toBe(false);
  });
  it('tells which domain printed, and whether by console_io', () => {
    machine.hv.hooks.consoleIo(domain, toBytes('early'));
    expect(printed).toBe('d1!:early');
  });
  it('hands the last words of a domain over when it ends', () => {
    machine.run(1e9);
    expect(printed).toContain('Goodbye.');
    expect(machine.toolstack.inputEmpty(1)).toBe(true);
  });
  it('leaves a page alone that the guest gave away or made a page table of', () => {
    const { frames } = machine.hv;
    const { consoleMfn } = domain;
    frames.owner[consoleMfn] = 9;
    machine.input(1, toBytes('abc'));
    expect(inProd()).toBe(0);
    frames.owner[consoleMfn] = 1;
    const [type, count] = [frames.type[consoleMfn]!, frames.typeCount[consoleMfn]!];
    expect([TYPE_none, TYPE_writable]).toContain(type);
    frames.type[consoleMfn] = TYPE_l1;
    frames.typeCount[consoleMfn] = 1;
    machine.toolstack.poll();
    expect(inProd()).toBe(0);
    frames.type[consoleMfn] = type;
    frames.typeCount[consoleMfn] = count;
    machine.toolstack.poll();
    expect(machine.toolstack.inputEmpty(1)).toBe(true);
  });
});

describe('the xenstore', () => {
  it('is introduced to each domain and releases it when it ends, nodes and all', () => {
    const { store } = machine.toolstack;
    const events: string[] = [];
    const watcher = store.connect(0, (message) => events.push(String.fromCharCode(...message.payload)));
    store.serve(watcher, { type: 4, requestId: 1, transaction: 0, payload: toBytes('@releaseDomain\0t\0') });
    events.length = 0;
    expect(store.read('/local/domain/1/name')).toBe('test');
    machine.run(1e9);
    expect(events).toEqual(['@releaseDomain\0t\0']);
    expect(store.read('/local/domain/1/name')).toBeNull();
  });
  it('has a place where domains meet, and clears away what a domain left there', () => {
    const { store } = machine.toolstack;
    const guest = store.connect(1, () => {});
    const other = store.connect(2, () => {});
    store.serve(guest, { type: 11, requestId: 1, transaction: 0, payload: toBytes('/demo/ping\x001 5') });
    store.serve(other, { type: 11, requestId: 1, transaction: 0, payload: toBytes('/demo/pong\x002 6') });
    expect(store.list('/demo')).toEqual(['ping', 'pong']);
    machine.run(1e9);
    expect(store.list('/demo')).toEqual(['pong']);
  });
});

describe('symbols', () => {
  it("of a domain's image name its addresses", () => {
    const symbols = machine.toolstack.symbolsOf(1)!;
    const entry = symbols.addressOf('guest_main')!;
    expect(machine.symbolAt(1, entry + 4)).toBe('guest_main+0x4');
    expect(machine.symbolAt(1, 0x1000)).toBeUndefined();
    expect(machine.symbolAt(7, entry)).toBeUndefined();
  });
});
