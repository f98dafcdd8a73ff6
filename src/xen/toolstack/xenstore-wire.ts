/** The xenstore's messages: 16 bytes of header, then the payload. public/io/xs_wire.h. */

export const XS = {
  CONTROL: 0,
  DIRECTORY: 1,
  READ: 2,
  GET_PERMS: 3,
  WATCH: 4,
  UNWATCH: 5,
  TRANSACTION_START: 6,
  TRANSACTION_END: 7,
  INTRODUCE: 8,
  RELEASE: 9,
  GET_DOMAIN_PATH: 10,
  WRITE: 11,
  MKDIR: 12,
  RM: 13,
  SET_PERMS: 14,
  WATCH_EVENT: 15,
  ERROR: 16,
  IS_DOMAIN_INTRODUCED: 17,
  RESUME: 18,
  SET_TARGET: 19,
  RESET_WATCHES: 21,
  DIRECTORY_PART: 22,
} as const;

export const XS_HEADER_SIZE = 16;
export const XS_PAYLOAD_MAX = 4096;

export interface StoreMessage {
  type: number;
  requestId: number;
  transaction: number;
  payload: Uint8Array;
}

/** Error names of the wire, from xs_wire.h. */
export type StoreErrno =
  | 'EINVAL'
  | 'EACCES'
  | 'EEXIST'
  | 'EISDIR'
  | 'ENOENT'
  | 'ENOMEM'
  | 'ENOSPC'
  | 'EIO'
  | 'ENOTEMPTY'
  | 'ENOSYS'
  | 'EROFS'
  | 'EBUSY'
  | 'EAGAIN'
  | 'EISCONN'
  | 'E2BIG'
  | 'EPERM';

export function encodeMessage(message: StoreMessage): Uint8Array {
  const bytes = new Uint8Array(XS_HEADER_SIZE + message.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, message.type, true);
  view.setUint32(4, message.requestId, true);
  view.setUint32(8, message.transaction, true);
  view.setUint32(12, message.payload.length, true);
  bytes.set(message.payload, XS_HEADER_SIZE);
  return bytes;
}

/** Bytes as characters 0-255: paths and tokens are compared as bytes, whatever their encoding. */
export function toText(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
export function toBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** 'a\0b\0' -> ['a', 'b']; the bytes behind the last NUL, if any, are the last string. */
export function splitStrings(payload: Uint8Array): string[] {
  const strings = toText(payload).split('\0');
  if (strings.at(-1) === '') strings.pop();
  return strings;
}

/** Collects a byte stream into messages, however it is cut. */
export class MessageReader {
  #pending: Uint8Array = new Uint8Array(0);
  /** The stream made no sense: a payload above 4096 bytes. Nothing more is read. */
  broken = false;

  /** @returns the messages that are complete now. */
  push(bytes: Uint8Array): StoreMessage[] {
    const messages: StoreMessage[] = [];
    const joined = new Uint8Array(this.#pending.length + bytes.length);
    joined.set(this.#pending);
    joined.set(bytes, this.#pending.length);
    let at = 0;
    while (!this.broken && joined.length - at >= XS_HEADER_SIZE) {
      const view = new DataView(joined.buffer, at);
      const length = view.getUint32(12, true);
      if (length > XS_PAYLOAD_MAX) {
        this.broken = true;
        break;
      }
      if (joined.length - at < XS_HEADER_SIZE + length) break;
      messages.push({
        type: view.getUint32(0, true),
        requestId: view.getUint32(4, true),
        transaction: view.getUint32(8, true),
        payload: joined.slice(at + XS_HEADER_SIZE, at + XS_HEADER_SIZE + length),
      });
      at += XS_HEADER_SIZE + length;
    }
    this.#pending = joined.slice(at);
    return messages;
  }

  /** Bytes that wait for the rest of their message. */
  get pending(): Uint8Array {
    return this.#pending;
  }
  set pending(bytes: Uint8Array) {
    this.#pending = bytes.slice();
  }
}
