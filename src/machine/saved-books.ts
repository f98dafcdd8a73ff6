/** What a saved lab's books must look like: all that is not the state of a class (object-state.ts). */
import { parsePermission } from '../xen/toolstack/xenstore-tree.ts';
import { DoesNotFit } from './object-state.ts';
import { PRESSES } from './press.ts';
import {
  aCount,
  aFlag,
  aNumber,
  anything,
  aText,
  aTime,
  bytes,
  listOf,
  mapOf,
  once,
  oneOf,
  orNull,
  record,
  type Shape,
  words,
} from './shape.ts';

const permission = record({ letter: oneOf('n', 'r', 'w', 'b'), domid: aCount });
const permissions: Shape<{ letter: 'n' | 'r' | 'w' | 'b'; domid: number }[]> = (value, where) => {
  const list = listOf(permission)(value, where);
  if (list.length === 0 || list.some((p) => parsePermission(`${p.letter}${p.domid}`) === null))
    throw new DoesNotFit(`${where} names no owner`);
  return list;
};

interface SavedNode {
  value: Uint8Array;
  permissions: { letter: 'n' | 'r' | 'w' | 'b'; domid: number }[];
  children: Map<string, SavedNode>;
  generation: number;
}
/** Nodes are shared by the tree and the snapshots of transactions: a fresh check per file. */
function nodeShape(): Shape<SavedNode> {
  const node: Shape<SavedNode> = once((value, where) => shape(value, where));
  const children = mapOf(aText, node);
  const shape = record({ value: bytes, permissions, children, generation: aCount });
  return node;
}

const inputEntry = record({
  cycle: aTime,
  instructions: aCount,
  domid: aCount,
  bytes,
  press: orNull(oneOf(...PRESSES)),
});
const vcpuName = record({ domid: aCount, vcpu: aCount });

export function booksShape() {
  const node = nodeShape();
  const path = aText;
  const change: Shape<unknown> = (value, where) => {
    const { kind } = value as { kind?: unknown };
    if (kind === 'write') return record({ kind: aText, path, value: bytes })(value, where);
    if (kind === 'permissions') return record({ kind: aText, path, permissions })(value, where);
    return record({ kind: oneOf('mkdir', 'remove'), path })(value, where);
  };
  const transaction = record({
    base: node,
    root: node,
    seen: mapOf(aText, aNumber),
    changes: listOf(change),
  });
  const served = record({
    domid: aCount,
    symbols: listOf(record({ name: aText, value: aCount, size: aCount })),
    console: orNull(record({ backlog: bytes, ready: aFlag, owed: aFlag })),
    store: orNull(record({ pending: bytes, outgoing: listOf(bytes), dead: aFlag })),
    watches: listOf(record({ path: aText, relative: aFlag, token: aText })),
    transactions: mapOf(aCount, transaction),
    emergencyInput: listOf(aCount),
  });
  return record({
    options: record({
      memoryMiB: aCount,
      seed: aCount,
      wallClockSeconds: aCount,
      costs: anything,
      cpus: aCount,
    }),
    replay: orNull(listOf(inputEntry)),
    inputLog: listOf(inputEntry),
    cycle: aTime,
    instructions: aCount,
    processor: bytes,
    current: orNull(vcpuName),
    lastVcpu: orNull(vcpuName),
    cpus: listOf(record({ state: anything, current: orNull(vcpuName), lastVcpu: orNull(vcpuName) })),
    queue: listOf(vcpuName),
    scheduler: anything,
    hypervisor: anything,
    devices: anything,
    frames: record({
      columns: anything,
      free: record({ domain: words, heap: words }),
    }),
    domains: listOf(
      record({
        id: aCount,
        config: record({
          name: aText,
          abi: oneOf('x86_32', 'x86_32p'),
          personality: oneOf('3.0.2', '4.17'),
          privileged: aFlag,
          vcpus: aCount,
          maxFrames: aCount,
          commandLine: aText,
        }),
        books: anything,
        vcpus: listOf(anything),
      }),
    ),
    toolstack: record({
      store: record({ root: node, introduced: listOf(aCount), generation: aCount, nextTransaction: aCount }),
      domains: listOf(served),
    }),
  });
}
export type Books = ReturnType<ReturnType<typeof booksShape>>;
