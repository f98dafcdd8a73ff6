import { describe, expect, it } from 'vitest';
import { PhysicalMemory } from '../../cpu/physical-memory.ts';
import { ConsoleDaemon } from './console-daemon.ts';
import { Xenstore } from './xenstore.ts';
import { XenstoreRing } from './xenstore-ring.ts';
import { encodeMessage, MessageReader, type StoreMessage, toBytes, toText, XS } from './xenstore-wire.ts';

const PAGE = 0x5000;
const memory = new PhysicalMemory(1);

/** The guest's half of a byte ring. */
function guestPut(data: number, size: number, prodAt: number, bytes: Uint8Array) {
  let prod = memory.read32(PAGE + prodAt);
  for (const byte of bytes) memory.write8(PAGE + data + (prod++ & (size - 1)), byte);
  memory.write32(PAGE + prodAt, prod >>> 0);
}
function guestTake(data: number, size: number, consAt: number, prodAt: number): Uint8Array {
  const bytes: number[] = [];
  let cons = memory.read32(PAGE + consAt);
  const prod = memory.read32(PAGE + prodAt);
  while (cons !== prod) {
    bytes.push(memory.read8(PAGE + data + (cons & (size - 1))));
    cons = (cons + 1) >>> 0;
  }
  memory.write32(PAGE + consAt, cons);
  return Uint8Array.from(bytes);
}

function consoleLab() {
  memory.zeroFrame(PAGE >> 12);
  let printed = '';
  const daemon = new ConsoleDaemon(memory, PAGE, (bytes) => {
    printed += toText(bytes);
  });
  return {
    daemon,
    printed: () => printed,
    print: (text: string) => guestPut(1024, 2048, 3084, toBytes(text)),
    read: () => toText(guestTake(0, 1024, 3072, 3076)),
  };
}

describe('the console daemon', () => {
  it('takes what is printed and notifies the guest, which may wait for room', () => {
    const { daemon, printed, print } = consoleLab();
    print('hello');
    expect(daemon.event()).toBe(true);
    expect(printed()).toBe('hello');
    expect(memory.read32(PAGE + 3080)).toBe(5);
    expect(daemon.event()).toBe(false);
  });
  it('never notifies a guest first: what is typed early waits in the ring', () => {
    const { daemon, print, read } = consoleLab();
    expect(daemon.input(toBytes('ls\n'))).toBe(false);
    expect(daemon.poll()).toBe(false);
    print('x');
    expect(daemon.event()).toBe(true);
    expect(read()).toBe('ls\n');
  });
  it('notifies of input once the guest has used the channel', () => {
    const { daemon, print, read } = consoleLab();
    print('$ ');
    daemon.event();
    expect(daemon.input(toBytes('ls\n'))).toBe(true);
    expect(read()).toBe('ls\n');
    expect(daemon.inputEmpty).toBe(true);
  });
  it('sees the output of guests that never send an event, and does not disturb them', () => {
    const { daemon, printed, print } = consoleLab();
    print('polled');
    expect(daemon.poll()).toBe(false);
    expect(printed()).toBe('polled');
  });
  it('owes the notification for room made until the guest sends its first event', () => {
    const { daemon, print } = consoleLab();
    print('printed before the channel has a handler, as the Mini-OS of 2006 does');
    daemon.poll();
    expect(daemon.event()).toBe(true);
    expect(daemon.event()).toBe(false);
  });
  it('takes a guest that reads its input for ready', () => {
    const { daemon, read } = consoleLab();
    daemon.input(toBytes('ls\n'));
    read();
    expect(daemon.poll()).toBe(true);
  });
  it('keeps more typing than fits until there is room, across the wrap of the ring', () => {
    const { daemon, read } = consoleLab();
    const long = Array.from({ length: 2500 }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
    daemon.input(toBytes(long));
    let got = read();
    expect(got).toHaveLength(1024);
    expect(daemon.inputEmpty).toBe(false);
    while (got.length < 2500) {
      expect(daemon.poll()).toBe(true);
      got += read();
    }
    expect(got).toBe(long);
  });
  it('goes on when the indices wrap around 2^32', () => {
    const { daemon, printed, print } = consoleLab();
    memory.write32(PAGE + 3080, 0xffff_fffe);
    memory.write32(PAGE + 3084, 0xffff_fffe);
    print('wrapped');
    daemon.event();
    expect(printed()).toBe('wrapped');
    expect(memory.read32(PAGE + 3080)).toBe(5);
  });
  it('ignores a ring with corrupt indices', () => {
    const { daemon, printed } = consoleLab();
    memory.write32(PAGE + 3084, 5000);
    expect(daemon.event()).toBe(false);
    expect(printed()).toBe('');
  });
});

function storeLab() {
  memory.zeroFrame(PAGE >> 12);
  const store = new Xenstore();
  store.write('/local/domain/1', '', [{ letter: 'n', domid: 1 }]);
  const ring = new XenstoreRing(memory, PAGE, store, 1);
  const reader = new MessageReader();
  return {
    store,
    ring,
    put: (bytes: Uint8Array) => guestPut(0, 1024, 2052, bytes),
    replies: (): StoreMessage[] => reader.push(guestTake(1024, 1024, 2056, 2060)),
  };
}
const message = (type: number, requestId: number, payload: string): Uint8Array =>
  encodeMessage({ type, requestId, transaction: 0, payload: toBytes(payload) });

describe('the xenstore ring', () => {
  it('answers several requests that were queued together, each with its id', () => {
    const { ring, put, replies } = storeLab();
    put(message(XS.WRITE, 7, 'x\x0042'));
    put(message(XS.READ, 8, 'x\0'));
    put(message(XS.READ, 9, 'y\0'));
    expect(ring.serve()).toBe(true);
    expect(replies().map((m) => `${m.type} ${m.requestId} ${toText(m.payload)}`)).toEqual([
      '11 7 OK\0',
      '2 8 42',
      '16 9 ENOENT\0',
    ]);
    expect(ring.serve()).toBe(false);
  });
  it('streams messages that are longer than the ring, both ways', () => {
    const { ring, put, replies } = storeLab();
    const value = 'v'.repeat(2000);
    const request = message(XS.WRITE, 1, `x\0${value}`);
    for (let at = 0; at < request.length; at += 700) {
      put(request.subarray(at, at + 700));
      ring.serve();
    }
    expect(replies()).toHaveLength(1);
    put(message(XS.READ, 2, 'x\0'));
    put(message(XS.READ, 3, 'x\0'));
    const got: StoreMessage[] = [];
    for (let i = 0; i < 10; i++) {
      ring.serve();
      got.push(...replies());
    }
    expect(got.map((m) => [m.requestId, toText(m.payload) === value])).toEqual([
      [2, true],
      [3, true],
    ]);
  });
  it('puts watch events between the replies', () => {
    const { ring, put, replies, store } = storeLab();
    put(message(XS.WATCH, 1, 'x\0t\0'));
    ring.serve();
    store.write('/local/domain/1/x', '1');
    expect(ring.hasOutgoing).toBe(true);
    expect(ring.serve()).toBe(true);
    expect(replies().map((m) => toText(m.payload))).toEqual(['OK\0', 'x\0t\0', 'x\0t\0']);
  });
  it('closes the connection of a guest with corrupt indices or an endless message', () => {
    const one = storeLab();
    memory.write32(PAGE + 2052, 1025);
    expect(one.ring.serve()).toBe(false);
    expect(one.ring.dead).toBe(true);
    const two = storeLab();
    two.put(Uint8Array.from([2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 16, 0, 0]));
    two.ring.serve();
    expect(two.ring.dead).toBe(true);
  });
});
