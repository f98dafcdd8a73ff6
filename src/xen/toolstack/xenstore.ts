/**
 * The xenstore: a small tree through which domains and the toolstack tell each other what they offer. Rules from
 * docs/misc/xenstore.txt; the wire is xenstore-wire.ts, the ring xenstore-ring.ts.
 *
 * Domain 0 may do everything. A transaction works on a snapshot and remembers which nodes it looked at; it commits
 * if none of these has changed meanwhile, else EAGAIN. Watches fire on commit.
 */
import {
  EMPTY_VALUE,
  findNode,
  formatPermission,
  mayRead,
  mayWrite,
  ownerOf,
  type Permission,
  parentPath,
  parsePermission,
  replaceNode,
  type StoreNode,
  storeNode,
  walk,
} from './xenstore-tree.ts';
import {
  type StoreErrno,
  type StoreMessage,
  splitStrings,
  toBytes,
  toText,
  XS,
  XS_PAYLOAD_MAX,
} from './xenstore-wire.ts';

const ABSOLUTE_PATH_MAX = 3072;
const RELATIVE_PATH_MAX = 2048;
/** What one guest may keep at most (the classic daemon's quotas). */
const QUOTA = { nodes: 1000, watches: 128, transactions: 10, valueBytes: 2048 };

export interface Watch {
  /** Absolute, or '@introduceDomain'. */
  path: string;
  /** As the client wrote it: events come back in the same form. */
  relative: boolean;
  token: string;
}

export interface Transaction {
  base: StoreNode;
  root: StoreNode;
  /** Nodes looked at: generation then, -1 if missing. */
  seen: Map<string, number>;
  changes: Change[];
}

type Change =
  | { kind: 'write'; path: string; value: Uint8Array }
  | { kind: 'mkdir'; path: string }
  | { kind: 'remove'; path: string }
  | { kind: 'permissions'; path: string; permissions: Permission[] };

/** Thrown inside an operation and turned into an ERROR reply; never leaves this file. */
class StoreFailure {
  readonly errno: StoreErrno;
  constructor(errno: StoreErrno) {
    this.errno = errno;
  }
}
const fail = (errno: StoreErrno): never => {
  throw new StoreFailure(errno);
};

/** One client: a guest's ring, or the toolstack itself (domid 0). */
export class StoreConnection {
  readonly domid: number;
  readonly send: (message: StoreMessage) => void;
  readonly watches: Watch[] = [];
  readonly transactions = new Map<number, Transaction>();

  constructor(domid: number, send: (message: StoreMessage) => void) {
    this.domid = domid;
    this.send = send;
  }
}

export interface StoreMemory {
  root: StoreNode;
  introduced: number[];
  generation: number;
  nextTransaction: number;
}

export class Xenstore {
  root: StoreNode = storeNode([{ letter: 'n', domid: 0 }], 0);
  readonly #connections = new Set<StoreConnection>();
  readonly #introduced = new Set<number>();
  #generation = 0;
  #nextTransaction = 1;

  /** All but the connections, which belong to their rings. */
  get memory(): StoreMemory {
    return {
      root: this.root,
      introduced: [...this.#introduced],
      generation: this.#generation,
      nextTransaction: this.#nextTransaction,
    };
  }
  set memory({ root, introduced, generation, nextTransaction }: StoreMemory) {
    this.root = root;
    this.#introduced.clear();
    for (const domid of introduced) this.#introduced.add(domid);
    this.#generation = generation;
    this.#nextTransaction = nextTransaction;
  }

  connect(domid: number, send: (message: StoreMessage) => void): StoreConnection {
    const connection = new StoreConnection(domid, send);
    this.#connections.add(connection);
    return connection;
  }

  /** Watches and open transactions of the client are gone. */
  disconnect(connection: StoreConnection): void {
    this.#connections.delete(connection);
  }

  introduce(domid: number): void {
    this.#introduced.add(domid);
    this.#fireSpecial('@introduceDomain');
  }

  release(domid: number): void {
    if (this.#introduced.delete(domid)) this.#fireSpecial('@releaseDomain');
  }

  // ------------------------------------------------------------- the toolstack's own, unchecked access

  write(path: string, value: string, permissions?: readonly Permission[]): void {
    this.#apply({ kind: 'write', path, value: toBytes(value) }, 0);
    if (permissions) this.#apply({ kind: 'permissions', path, permissions: [...permissions] }, 0);
  }
  read(path: string): string | null {
    const node = findNode(this.root, path);
    return node ? toText(node.value) : null;
  }
  list(path: string): string[] {
    return [...(findNode(this.root, path)?.children.keys() ?? [])];
  }
  remove(path: string): void {
    if (findNode(this.root, path)) this.#apply({ kind: 'remove', path }, 0);
  }
  /** Removes what `domid` owns below path: a meeting place is left clean by those who go. */
  removeOwned(path: string, domid: number): void {
    const top = findNode(this.root, path);
    if (!top) return;
    for (const [at, node] of [...walk(top, path)]) {
      if (at !== path && ownerOf(node) === domid) this.remove(at);
    }
  }

  // ------------------------------------------------------------- requests

  /** Serves one request; the reply, and events for every watcher, go out through the connections. */
  serve(connection: StoreConnection, request: StoreMessage): void {
    let type = request.type;
    let payload: Uint8Array;
    const events: (() => void)[] = [];
    try {
      payload = this.#carryOut(connection, request, events);
    } catch (failure) {
      if (!(failure instanceof StoreFailure)) throw failure;
      type = XS.ERROR;
      payload = toBytes(`${failure.errno}\0`);
    }
    connection.send({ type, requestId: request.requestId, transaction: request.transaction, payload });
    for (const event of events) event();
  }

  #carryOut(connection: StoreConnection, request: StoreMessage, events: (() => void)[]): Uint8Array {
    const { payload } = request;
    const transaction = this.#transactionOf(connection, request);
    switch (request.type) {
      case XS.CONTROL: {
        // "print": the daemon's own log, which nobody reads here. Other commands are domain 0's.
        const [command] = splitStrings(payload);
        if (command !== 'print' && connection.domid !== 0) fail('EACCES');
        return OK;
      }
      case XS.DIRECTORY: {
        const node = this.#readable(connection, transaction, this.#pathArgument(connection, payload));
        const names = strings([...node.children.keys()]);
        return names.length > XS_PAYLOAD_MAX ? fail('E2BIG') : names;
      }
      case XS.DIRECTORY_PART: {
        const [path, offset] = stringArguments(payload, 2);
        const node = this.#readable(connection, transaction, this.#absolute(connection, path!));
        return directoryPart(node, Number(offset));
      }
      case XS.READ:
        return this.#readable(connection, transaction, this.#pathArgument(connection, payload)).value;
      case XS.GET_PERMS: {
        const node = this.#readable(connection, transaction, this.#pathArgument(connection, payload));
        return strings(node.permissions.map(formatPermission));
      }
      case XS.WRITE: {
        const end = payload.indexOf(0);
        if (end < 0) fail('EINVAL');
        const path = this.#absolute(connection, toText(payload.subarray(0, end)));
        const value = payload.slice(end + 1);
        if (connection.domid !== 0 && value.length > QUOTA.valueBytes) fail('ENOSPC');
        this.#change(connection, transaction, { kind: 'write', path, value }, events);
        return OK;
      }
      case XS.MKDIR: {
        const path = this.#pathArgument(connection, payload);
        if (this.#look(transaction, path)) {
          this.#writable(connection, transaction, path);
          return OK;
        }
        this.#change(connection, transaction, { kind: 'mkdir', path }, events);
        return OK;
      }
      case XS.RM: {
        const path = this.#pathArgument(connection, payload);
        if (path === '/') fail('EINVAL');
        if (!this.#look(transaction, path)) {
          if (!this.#look(transaction, parentPath(path))) fail('ENOENT');
          this.#writable(connection, transaction, parentPath(path));
          return OK;
        }
        this.#change(connection, transaction, { kind: 'remove', path }, events);
        return OK;
      }
      case XS.SET_PERMS: {
        const [name, ...texts] = splitStrings(payload);
        const permissions = texts.map((text) => parsePermission(text) ?? fail('EINVAL'));
        if (name === undefined || permissions.length === 0) fail('EINVAL');
        const path = this.#absolute(connection, name!);
        const node = this.#writable(connection, transaction, path);
        // Only the owner may hand out rights, and nobody may give a node away.
        if (
          connection.domid !== 0 &&
          (ownerOf(node) !== connection.domid || permissions[0]!.domid !== connection.domid)
        )
          fail('EPERM');
        this.#change(connection, transaction, { kind: 'permissions', path, permissions }, events);
        return OK;
      }
      case XS.WATCH:
        return this.#watch(connection, payload, events);
      case XS.UNWATCH: {
        const [name, token] = stringArguments(payload, 2);
        const path = this.#watchPath(connection, name!);
        const index = connection.watches.findIndex((w) => w.path === path && w.token === token);
        if (index < 0) fail('ENOENT');
        connection.watches.splice(index, 1);
        return OK;
      }
      case XS.RESET_WATCHES:
        connection.watches.length = 0;
        connection.transactions.clear();
        return OK;
      case XS.TRANSACTION_START: {
        if (request.transaction !== 0) fail('EBUSY');
        if (connection.domid !== 0 && connection.transactions.size >= QUOTA.transactions) fail('ENOSPC');
        const id = this.#nextTransaction++;
        connection.transactions.set(id, { base: this.root, root: this.root, seen: new Map(), changes: [] });
        return toBytes(`${id}\0`);
      }
      case XS.TRANSACTION_END: {
        const [verdict] = splitStrings(payload);
        if (verdict !== 'T' && verdict !== 'F') fail('EINVAL');
        if (!transaction) fail('ENOENT');
        connection.transactions.delete(request.transaction);
        if (verdict === 'T') this.#commit(connection, transaction!, events);
        return OK;
      }
      case XS.GET_DOMAIN_PATH: {
        const [domid] = stringArguments(payload, 1);
        return toBytes(`/local/domain/${domainNumber(domid!)}\0`);
      }
      case XS.IS_DOMAIN_INTRODUCED: {
        const [domid] = stringArguments(payload, 1);
        const number = domainNumber(domid!);
        return toBytes(number === 0 || this.#introduced.has(number) ? 'T\0' : 'F\0');
      }
      case XS.INTRODUCE:
      case XS.RELEASE:
      case XS.RESUME:
      case XS.SET_TARGET:
        // The toolstack introduces domains itself; nobody else may.
        return connection.domid === 0 ? OK : fail('EACCES');
      default:
        return fail('ENOSYS');
    }
  }

  #transactionOf(connection: StoreConnection, request: StoreMessage): Transaction | null {
    if (request.transaction === 0) return null;
    return connection.transactions.get(request.transaction) ?? fail('ENOENT');
  }

  // ------------------------------------------------------------- paths

  #pathArgument(connection: StoreConnection, payload: Uint8Array): string {
    const [path] = stringArguments(payload, 1);
    return this.#absolute(connection, path!);
  }

  #absolute(connection: StoreConnection, path: string): string {
    const relative = !path.startsWith('/');
    if (path.length > (relative ? RELATIVE_PATH_MAX : ABSOLUTE_PATH_MAX)) fail('EINVAL');
    if (!/^[A-Za-z0-9\-/_@]+$/.test(path) || path.includes('//') || (path !== '/' && path.endsWith('/')))
      fail('EINVAL');
    return relative ? `/local/domain/${connection.domid}/${path}` : path;
  }

  #watchPath(connection: StoreConnection, path: string): string {
    return path.startsWith('@') ? path : this.#absolute(connection, path);
  }

  // ------------------------------------------------------------- looking

  #look(transaction: Transaction | null, path: string): StoreNode | null {
    const node = findNode(transaction ? transaction.root : this.root, path);
    if (transaction && !transaction.seen.has(path)) {
      transaction.seen.set(path, findNode(transaction.base, path)?.generation ?? -1);
    }
    return node;
  }

  #readable(connection: StoreConnection, transaction: Transaction | null, path: string): StoreNode {
    const node = this.#look(transaction, path);
    if (!node) return this.#missing(connection, transaction, path);
    return mayRead(node, connection.domid, connection.domid === 0) ? node : fail('EACCES');
  }

  #writable(connection: StoreConnection, transaction: Transaction | null, path: string): StoreNode {
    const node = this.#look(transaction, path);
    if (!node) return this.#missing(connection, transaction, path);
    return mayWrite(node, connection.domid, connection.domid === 0) ? node : fail('EACCES');
  }

  /** That a node is missing is told only to those who may read where it would be. */
  #missing(connection: StoreConnection, transaction: Transaction | null, path: string): never {
    let above = parentPath(path);
    let node = this.#look(transaction, above);
    while (!node && above !== '/') {
      above = parentPath(above);
      node = this.#look(transaction, above);
    }
    return fail(node && mayRead(node, connection.domid, connection.domid === 0) ? 'ENOENT' : 'EACCES');
  }

  // ------------------------------------------------------------- changing

  #change(
    connection: StoreConnection,
    transaction: Transaction | null,
    change: Change,
    events: (() => void)[],
  ): void {
    this.#checkChange(connection, transaction, change);
    if (transaction) {
      transaction.changes.push(change);
      transaction.root = this.#changed(transaction.root, change, connection.domid);
    } else {
      const before = this.root;
      this.root = this.#changed(this.root, change, connection.domid);
      this.#fire(change, before, events);
    }
  }

  #checkChange(connection: StoreConnection, transaction: Transaction | null, change: Change): void {
    if (connection.domid === 0) return;
    if (change.kind === 'permissions') return;
    let at = change.path;
    let node = this.#look(transaction, at);
    const isNew = node === null;
    while (!node) {
      at = parentPath(at);
      node = this.#look(transaction, at);
    }
    if (!mayWrite(node, connection.domid, false)) fail('EACCES');
    if (isNew && this.#ownedNodes(transaction, connection.domid) >= QUOTA.nodes) fail('ENOSPC');
  }

  #ownedNodes(transaction: Transaction | null, domid: number): number {
    let count = 0;
    for (const [, node] of walk(transaction ? transaction.root : this.root, '/'))
      if (ownerOf(node) === domid) count++;
    return count;
  }

  /** A change by the toolstack itself. */
  #apply(change: Change, domid: number): void {
    const before = this.root;
    const events: (() => void)[] = [];
    this.root = this.#changed(this.root, change, domid);
    this.#fire(change, before, events);
    for (const event of events) event();
  }

  #changed(root: StoreNode, change: Change, domid: number): StoreNode {
    switch (change.kind) {
      case 'write': {
        const made = this.#withParents(root, change.path, domid);
        const node = findNode(made, change.path)!;
        return replaceNode(made, change.path, {
          ...node,
          value: change.value,
          generation: ++this.#generation,
        });
      }
      case 'mkdir':
        return this.#withParents(root, change.path, domid);
      case 'remove':
        return this.#touchParent(replaceNode(root, change.path, null), change.path);
      case 'permissions': {
        const node = findNode(root, change.path)!;
        return replaceNode(root, change.path, {
          ...node,
          permissions: change.permissions,
          generation: ++this.#generation,
        });
      }
    }
  }

  /** A new child belongs to its maker and has its parent's rights otherwise. */
  #withParents(root: StoreNode, path: string, domid: number): StoreNode {
    if (findNode(root, path)) return root;
    const parent = parentPath(path);
    const made = this.#withParents(root, parent, domid);
    const [owner, ...others] = findNode(made, parent)!.permissions;
    const permissions = [
      domid === 0 ? owner! : { letter: owner!.letter, domid },
      ...others.filter((p) => p.domid !== domid),
    ];
    return this.#touchParent(replaceNode(made, path, storeNode(permissions, ++this.#generation)), path);
  }

  /** The list of a node's children is part of what a transaction may have seen of it. */
  #touchParent(root: StoreNode, path: string): StoreNode {
    const at = parentPath(path);
    return replaceNode(root, at, { ...findNode(root, at)!, generation: ++this.#generation });
  }

  #commit(connection: StoreConnection, transaction: Transaction, events: (() => void)[]): void {
    if (transaction.changes.length === 0) return;
    for (const [path, generation] of transaction.seen) {
      if ((findNode(this.root, path)?.generation ?? -1) !== generation) fail('EAGAIN');
    }
    for (const change of transaction.changes) {
      const before = this.root;
      // A removal that an earlier change of the same transaction made pointless.
      if (change.kind !== 'write' && change.kind !== 'mkdir' && !findNode(this.root, change.path)) continue;
      this.root = this.#changed(this.root, change, connection.domid);
      this.#fire(change, before, events);
    }
  }

  // ------------------------------------------------------------- watches

  #watch(connection: StoreConnection, payload: Uint8Array, events: (() => void)[]): Uint8Array {
    const [name, token] = stringArguments(payload, 2);
    const path = this.#watchPath(connection, name!);
    if (connection.watches.some((w) => w.path === path && w.token === token)) fail('EEXIST');
    if (connection.domid !== 0 && connection.watches.length >= QUOTA.watches) fail('E2BIG');
    const watch: Watch = { path, relative: !name!.startsWith('/') && !name!.startsWith('@'), token: token! };
    connection.watches.push(watch);
    events.push(() => this.#notify(connection, watch, path));
    return OK;
  }

  #fire(change: Change, before: StoreNode, events: (() => void)[]): void {
    for (const connection of this.#connections) {
      for (const watch of connection.watches) {
        if (isAtOrBelow(change.path, watch.path)) {
          events.push(() => this.#notify(connection, watch, change.path));
        } else if (
          change.kind === 'remove' &&
          isAtOrBelow(watch.path, change.path) &&
          findNode(before, watch.path)
        ) {
          // What is watched went with its parent.
          events.push(() => this.#notify(connection, watch, watch.path));
        }
      }
    }
  }

  #fireSpecial(name: string): void {
    for (const connection of this.#connections) {
      for (const watch of connection.watches) if (watch.path === name) this.#notify(connection, watch, name);
    }
  }

  #notify(connection: StoreConnection, watch: Watch, path: string): void {
    const prefix = `/local/domain/${connection.domid}/`;
    const told = watch.relative && path.startsWith(prefix) ? path.slice(prefix.length) : path;
    connection.send({
      type: XS.WATCH_EVENT,
      requestId: 0,
      transaction: 0,
      payload: toBytes(`${told}\0${watch.token}\0`),
    });
  }
}

const OK = toBytes('OK\0');

const strings = (list: readonly string[]): Uint8Array =>
  list.length === 0 ? EMPTY_VALUE : toBytes(`${list.join('\0')}\0`);

function stringArguments(payload: Uint8Array, count: number): string[] {
  const found = splitStrings(payload);
  if (found.length < count) fail('EINVAL');
  return found;
}

function domainNumber(text: string): number {
  if (!/^\d{1,5}$/.test(text)) fail('EINVAL');
  return Number(text);
}

const isAtOrBelow = (path: string, top: string): boolean =>
  top === '/' ? path.startsWith('/') : path === top || path.startsWith(`${top}/`);

/** A part of a long list: generation, then names from `offset` on; an empty name ends the whole list. */
function directoryPart(node: StoreNode, offset: number): Uint8Array {
  const all = toText(strings([...node.children.keys()]));
  if (!Number.isInteger(offset) || offset < 0 || offset > all.length) fail('EINVAL');
  const head = `${node.generation}\0`;
  const room = XS_PAYLOAD_MAX - head.length - 1;
  const rest = all.slice(offset);
  if (rest.length <= room) return toBytes(`${head}${rest}\0`);
  return toBytes(head + rest.slice(0, rest.lastIndexOf('\0', room - 1) + 1));
}

/** Every node with its value and permissions: for the state hash. */
export function* storeEntries(root: StoreNode): Generator<[string, Uint8Array, string]> {
  for (const [path, node] of walk(root, '/'))
    yield [path, node.value, node.permissions.map(formatPermission).join(' ')];
}
