/**
 * One domain's xenstore page: requests come in as a byte stream, replies and watch events go out as one. Messages
 * may be longer than the ring, several requests may be under way, events may come between replies. boot.md 10.2.
 */
import type { PhysicalMemory } from '../../cpu/physical-memory.ts';
import { ByteRing } from './byte-ring.ts';
import type { StoreConnection, Xenstore } from './xenstore.ts';
import { encodeMessage, MessageReader } from './xenstore-wire.ts';

const REQUESTS = { data: 0, size: 1024, cons: 2048, prod: 2052 };
const REPLIES = { data: 1024, size: 1024, cons: 2056, prod: 2060 };
/** A guest that lets this much lie unread is cut off. */
const OUTGOING_LIMIT = 1024 * 1024;

export interface RingMemory {
  pending: Uint8Array;
  outgoing: readonly Uint8Array[];
  dead: boolean;
}

export class XenstoreRing {
  readonly connection: StoreConnection;
  readonly #store: Xenstore;
  readonly #requests: ByteRing;
  readonly #replies: ByteRing;
  readonly #reader = new MessageReader();
  #outgoing: Uint8Array[] = [];
  #outgoingBytes = 0;
  /** The guest broke the protocol (indices, message length) or does not read: nothing more is served. */
  dead = false;

  /** @param page machine address of the xenstore page. */
  constructor(memory: PhysicalMemory, page: number, store: Xenstore, domid: number) {
    this.#store = store;
    this.#requests = new ByteRing(memory, page, REQUESTS);
    this.#replies = new ByteRing(memory, page, REPLIES);
    this.connection = store.connect(domid, (message) => {
      const bytes = encodeMessage(message);
      this.#outgoing.push(bytes);
      this.#outgoingBytes += bytes.length;
      if (this.#outgoingBytes > OUTGOING_LIMIT) this.#die();
    });
  }

  /** Serves what is there. @returns true: bytes were taken or given, notify the guest. */
  serve(): boolean {
    let moved = false;
    while (!this.dead) {
      if (this.#requests.corrupt || this.#replies.corrupt) {
        this.#die();
        break;
      }
      if (this.#flush()) moved = true;
      // Replies that do not fit hold further requests back.
      if (this.#outgoing.length > 0 || this.#requests.filled === 0) break;
      moved = true;
      for (const request of this.#reader.push(this.#requests.take()))
        this.#store.serve(this.connection, request);
      if (this.#reader.broken) this.#die();
    }
    return moved;
  }

  close(): void {
    this.#die();
  }

  #flush(): boolean {
    let moved = false;
    while (this.#outgoing.length > 0) {
      const first = this.#outgoing[0]!;
      const put = this.#replies.put(first);
      if (put === 0) break;
      moved = true;
      this.#outgoingBytes -= put;
      if (put < first.length) {
        this.#outgoing[0] = first.subarray(put);
        break;
      }
      this.#outgoing.shift();
    }
    return moved;
  }

  #die(): void {
    this.dead = true;
    this.#store.disconnect(this.connection);
    this.#outgoing = [];
    this.#outgoingBytes = 0;
  }

  get hasOutgoing(): boolean {
    return this.#outgoing.length > 0;
  }

  /** What this half remembers outside the page: for the state hash and saved labs. */
  get remembered(): RingMemory {
    return { pending: this.#reader.pending, outgoing: this.#outgoing, dead: this.dead };
  }
  /** A dead ring stays dead; watches and transactions are the connection's. */
  remember({ pending, outgoing, dead }: RingMemory): void {
    if (dead) this.#die();
    this.#reader.pending = pending;
    this.#reader.broken = dead;
    this.#outgoing = [...outgoing];
    this.#outgoingBytes = outgoing.reduce((sum, bytes) => sum + bytes.length, 0);
  }
}
