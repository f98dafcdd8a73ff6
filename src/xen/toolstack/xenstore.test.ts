import { describe, expect, it } from 'vitest';
import { type StoreConnection, Xenstore } from './xenstore.ts';
import { type StoreMessage, toBytes, toText, XS } from './xenstore-wire.ts';

type Operation = Exclude<keyof typeof XS, 'WATCH_EVENT' | 'ERROR'>;
const NAMES = Object.fromEntries(Object.entries(XS).map(([name, number]) => [number, name]));
const shown = (payload: Uint8Array) => toText(payload).replaceAll('\0', '|');

/** A client that shows what it is told as text: 'READ value', 'ERROR ENOENT|', 'WATCH_EVENT path|token|'. */
class Client {
  readonly events: string[] = [];
  readonly connection: StoreConnection;
  readonly #store: Xenstore;
  #reply: StoreMessage | null = null;
  #requests = 0;

  constructor(store: Xenstore, domid: number) {
    this.#store = store;
    this.connection = store.connect(domid, (message) => {
      if (message.type === XS.WATCH_EVENT) this.events.push(shown(message.payload));
      else this.#reply = message;
    });
  }
  ask(operation: Operation, text: string, transaction = 0): string {
    const requestId = ++this.#requests;
    this.#store.serve(this.connection, {
      type: XS[operation],
      requestId,
      transaction,
      payload: toBytes(text),
    });
    const reply = this.#reply!;
    expect(reply).toMatchObject({ requestId, transaction });
    return reply.type === XS[operation]
      ? shown(reply.payload)
      : `${NAMES[reply.type]} ${shown(reply.payload)}`;
  }
  begin(): number {
    return Number.parseInt(this.ask('TRANSACTION_START', '\0'), 10);
  }
}

function lab() {
  const store = new Xenstore();
  for (const domid of [1, 2]) {
    store.write(`/local/domain/${domid}`, '', [
      { letter: 'n', domid: 0 },
      { letter: 'r', domid },
    ]);
    store.write(`/local/domain/${domid}/name`, `guest-${domid}`);
    store.write(`/local/domain/${domid}/data`, '', [{ letter: 'n', domid }]);
  }
  return { store, one: new Client(store, 1), two: new Client(store, 2), zero: new Client(store, 0) };
}

describe('paths', () => {
  it('are relative to the caller, or absolute', () => {
    const { one } = lab();
    expect(one.ask('READ', 'name\0')).toBe('guest-1');
    expect(one.ask('READ', '/local/domain/1/name\0')).toBe('guest-1');
    expect(one.ask('GET_DOMAIN_PATH', '7\0')).toBe('/local/domain/7|');
  });
  it.each(['a//b', 'a/', 'a b', 'a\u00e9', `a${'x'.repeat(2100)}`, ''])('"%s" is EINVAL', (path) => {
    expect(lab().one.ask('READ', `${path}\0`)).toBe('ERROR EINVAL|');
  });
});

describe('nodes', () => {
  it('are written with their parents, listed in order of creation and read back byte for byte', () => {
    const { one } = lab();
    expect(one.ask('WRITE', 'data/b/c\0va\0lue\xff')).toBe('OK|');
    expect(one.ask('MKDIR', 'data/a\0')).toBe('OK|');
    expect(one.ask('DIRECTORY', 'data\0')).toBe('b|a|');
    expect(one.ask('READ', 'data/b/c\0')).toBe('va|lue\xff');
    expect(one.ask('READ', 'data/b\0')).toBe('');
    expect(one.ask('DIRECTORY', 'data/a\0')).toBe('');
  });
  it('are removed with all below; removing a missing one is fine while its parent exists', () => {
    const { one } = lab();
    one.ask('WRITE', 'data/b/c\0x');
    expect(one.ask('RM', 'data/b\0')).toBe('OK|');
    expect(one.ask('READ', 'data/b/c\0')).toBe('ERROR ENOENT|');
    expect(one.ask('RM', 'data/b\0')).toBe('OK|');
    expect(one.ask('RM', 'data/b/c\0')).toBe('ERROR ENOENT|');
  });
  it('that are missing are ENOENT, whatever is asked of them', () => {
    const { one } = lab();
    for (const operation of ['READ', 'DIRECTORY', 'GET_PERMS'] as const) {
      expect(one.ask(operation, 'device/vbd\0')).toBe('ERROR ENOENT|');
    }
  });
  it('too long for one message are listed in parts', () => {
    const { one } = lab();
    for (let i = 0; i < 300; i++) one.ask('MKDIR', `data/a-rather-long-name-${i}\0`);
    expect(one.ask('DIRECTORY', 'data\0')).toBe('ERROR E2BIG|');
    let names = '';
    for (;;) {
      const part = one.ask('DIRECTORY_PART', `data\0${names.length}\0`).replace(/^\d+\|/, '');
      names += part;
      if (part === '|' || part.endsWith('||')) break;
    }
    const all = names.split('|').filter((name) => name !== '');
    expect(all).toHaveLength(300);
    expect(all[299]).toBe('a-rather-long-name-299');
  });
});

describe('permissions', () => {
  it('keep other domains out, and do not tell them what is missing', () => {
    const { one } = lab();
    expect(one.ask('READ', '/local/domain/2/name\0')).toBe('ERROR EACCES|');
    expect(one.ask('READ', '/local/domain/2/no-such\0')).toBe('ERROR EACCES|');
    expect(one.ask('WRITE', '/local/domain/2/data/x\x001')).toBe('ERROR EACCES|');
  });
  it('let a guest read its own directory, and write only what is its', () => {
    const { one } = lab();
    expect(one.ask('WRITE', 'name\0other')).toBe('ERROR EACCES|');
    expect(one.ask('RM', 'name\0')).toBe('ERROR EACCES|');
    expect(one.ask('WRITE', 'data/x\x001')).toBe('OK|');
    expect(one.ask('GET_PERMS', 'data/x\0')).toBe('n1|');
  });
  it('are handed out by the owner alone, who cannot give the node away', () => {
    const { one, two } = lab();
    one.ask('WRITE', 'data/x\x0042');
    expect(two.ask('READ', '/local/domain/1/data/x\0')).toBe('ERROR EACCES|');
    expect(one.ask('SET_PERMS', 'data/x\0n1\0r2\0')).toBe('OK|');
    expect(two.ask('READ', '/local/domain/1/data/x\0')).toBe('42');
    expect(two.ask('WRITE', '/local/domain/1/data/x\x007')).toBe('ERROR EACCES|');
    expect(two.ask('SET_PERMS', '/local/domain/1/data/x\0b2\0')).toBe('ERROR EACCES|');
    expect(one.ask('SET_PERMS', 'data/x\0b2\0')).toBe('ERROR EPERM|');
    expect(one.ask('SET_PERMS', 'data/x\0x1\0')).toBe('ERROR EINVAL|');
  });
  it("of the first entry are everybody's", () => {
    const { one, two } = lab();
    one.ask('WRITE', 'data/x\x0042');
    one.ask('SET_PERMS', 'data/x\0b1\0');
    expect(two.ask('WRITE', '/local/domain/1/data/x\x007')).toBe('OK|');
    expect(one.ask('READ', 'data/x\0')).toBe('7');
  });
  it('do not bind domain 0', () => {
    const { zero } = lab();
    expect(zero.ask('READ', '/local/domain/2/name\0')).toBe('guest-2');
    expect(zero.ask('INTRODUCE', '2\x001\x001\0')).toBe('OK|');
    expect(lab().one.ask('INTRODUCE', '2\x001\x001\0')).toBe('ERROR EACCES|');
  });
});

describe('watches', () => {
  it('fire at once, then for the node and all below, in the form they were set', () => {
    const { one } = lab();
    expect(one.ask('WATCH', 'data\0tok\0')).toBe('OK|');
    one.ask('WATCH', '/local/domain/1/data/x\0abs\0');
    one.ask('WRITE', 'data/x\x001');
    one.ask('WRITE', 'data/y\x001');
    one.ask('SET_PERMS', 'data/x\0r1\0');
    expect(one.events).toEqual([
      'data|tok|',
      '/local/domain/1/data/x|abs|',
      'data/x|tok|',
      '/local/domain/1/data/x|abs|',
      'data/y|tok|',
      'data/x|tok|',
      '/local/domain/1/data/x|abs|',
    ]);
  });
  it('fire when what they watch goes with its parent', () => {
    const { one, store } = lab();
    one.ask('WRITE', 'data/a/b\x001');
    one.ask('WATCH', 'data/a/b\0t\0');
    one.events.length = 0;
    store.remove('/local/domain/1/data/a');
    expect(one.events).toEqual(['data/a/b|t|']);
  });
  it('are told of others domains coming and going', () => {
    const { one, store } = lab();
    one.ask('WATCH', '@introduceDomain\0t\0');
    store.introduce(2);
    expect(one.events).toEqual(['@introduceDomain|t|', '@introduceDomain|t|']);
    expect(one.ask('IS_DOMAIN_INTRODUCED', '2\0')).toBe('T|');
    expect(one.ask('IS_DOMAIN_INTRODUCED', '9\0')).toBe('F|');
  });
  it('are set once, and taken away', () => {
    const { one } = lab();
    one.ask('WATCH', 'data\0t\0');
    expect(one.ask('WATCH', 'data\0t\0')).toBe('ERROR EEXIST|');
    expect(one.ask('UNWATCH', 'data\0other\0')).toBe('ERROR ENOENT|');
    expect(one.ask('UNWATCH', 'data\0t\0')).toBe('OK|');
    one.events.length = 0;
    one.ask('WRITE', 'data/x\x001');
    one.ask('WATCH', 'data\0t\0');
    one.ask('RESET_WATCHES', '\0');
    one.ask('WRITE', 'data/x\x002');
    expect(one.events).toEqual(['data|t|']);
  });
});

describe('transactions', () => {
  it('see their own changes at once; others see them, and watches fire, on commit', () => {
    const { one, zero } = lab();
    one.ask('WATCH', 'data\0t\0');
    one.events.length = 0;
    const id = one.begin();
    one.ask('WRITE', 'data/x\x001', id);
    expect(one.ask('READ', 'data/x\0', id)).toBe('1');
    expect(zero.ask('READ', '/local/domain/1/data/x\0')).toBe('ERROR ENOENT|');
    expect(one.events).toEqual([]);
    expect(one.ask('TRANSACTION_END', 'T\0', id)).toBe('OK|');
    expect(zero.ask('READ', '/local/domain/1/data/x\0')).toBe('1');
    expect(one.events).toEqual(['data/x|t|']);
  });
  it('leave nothing behind when aborted', () => {
    const { one } = lab();
    const id = one.begin();
    one.ask('WRITE', 'data/x\x001', id);
    expect(one.ask('TRANSACTION_END', 'F\0', id)).toBe('OK|');
    expect(one.ask('READ', 'data/x\0')).toBe('ERROR ENOENT|');
    expect(one.ask('TRANSACTION_END', 'T\0', id)).toBe('ERROR ENOENT|');
  });
  it('are EAGAIN when something they looked at has changed, and only then', () => {
    const { one, zero } = lab();
    one.ask('WRITE', 'data/x\x001');
    const first = one.begin();
    one.ask('READ', 'data/x\0', first);
    one.ask('WRITE', 'data/y\x001', first);
    zero.ask('WRITE', '/local/domain/1/data/x\x002');
    expect(one.ask('TRANSACTION_END', 'T\0', first)).toBe('ERROR EAGAIN|');
    expect(one.ask('READ', 'data/y\0')).toBe('ERROR ENOENT|');
    const second = one.begin();
    one.ask('READ', 'data/x\0', second);
    one.ask('WRITE', 'data/x\x003', second);
    zero.ask('WRITE', '/local/domain/2/data/z\x002');
    expect(one.ask('TRANSACTION_END', 'T\0', second)).toBe('OK|');
    expect(one.ask('READ', 'data/x\0')).toBe('3');
  });
  it('conflict over a list of children too', () => {
    const { one, zero } = lab();
    const id = one.begin();
    one.ask('DIRECTORY', 'data\0', id);
    one.ask('WRITE', 'data/count\x000', id);
    zero.ask('WRITE', '/local/domain/1/data/new\x001');
    expect(one.ask('TRANSACTION_END', 'T\0', id)).toBe('ERROR EAGAIN|');
  });
});

describe('what a guest may use up is bounded', () => {
  it('nodes, watches, transactions, values', () => {
    const { one } = lab();
    let reply = '';
    for (let i = 0; i < 1100 && !reply.startsWith('ERROR'); i++) reply = one.ask('MKDIR', `data/${i}\0`);
    expect(reply).toBe('ERROR ENOSPC|');
    reply = '';
    for (let i = 0; i < 200 && !reply.startsWith('ERROR'); i++) reply = one.ask('WATCH', `data\0${i}\0`);
    expect(reply).toBe('ERROR E2BIG|');
    reply = '';
    for (let i = 0; i < 20 && !reply.startsWith('ERROR'); i++) reply = one.ask('TRANSACTION_START', '\0');
    expect(reply).toBe('ERROR ENOSPC|');
    expect(one.ask('WRITE', `data/0\0${'x'.repeat(2049)}`)).toBe('ERROR ENOSPC|');
  });
});

describe('garbage', () => {
  it('is an error reply, never an exception', () => {
    const { one } = lab();
    for (let type = 0; type < 40; type++) {
      for (const payload of ['', '\0', 'data', 'data\0', '\0\0\0', 'T\0', '\xff\xfe', '99999999\0x\0']) {
        const request = { type, requestId: 1, transaction: 0, payload: toBytes(payload) };
        expect(() => lab().store.serve(one.connection, request)).not.toThrow();
      }
    }
    expect(one.ask('READ', 'name\0', 77)).toBe('ERROR ENOENT|');
  });
});
