/**
 * The tree of the xenstore: nodes with a value, permissions and children. Nodes never change: an update makes new
 * nodes along the path, so a transaction's snapshot is just an old root. docs/misc/xenstore.txt.
 */

/** r, w, b (both), n (none), and for whom. The first entry names the owner, its letter is everybody else's right. */
export interface Permission {
  letter: 'n' | 'r' | 'w' | 'b';
  domid: number;
}

export interface StoreNode {
  readonly value: Uint8Array;
  readonly permissions: readonly Permission[];
  readonly children: ReadonlyMap<string, StoreNode>;
  /** Rises with every change of this node itself (not of its descendants). */
  readonly generation: number;
}

export const EMPTY_VALUE = new Uint8Array(0);

export function storeNode(permissions: readonly Permission[], generation: number): StoreNode {
  return { value: EMPTY_VALUE, permissions, children: new Map(), generation };
}

/** '/' has no names. */
export const namesOf = (path: string): string[] => (path === '/' ? [] : path.slice(1).split('/'));

export function parentPath(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

export function findNode(root: StoreNode, path: string): StoreNode | null {
  let node: StoreNode | undefined = root;
  for (const name of namesOf(path)) {
    node = node.children.get(name);
    if (!node) return null;
  }
  return node;
}

/** Puts `replacement` at path (null removes it); all nodes above it must exist. @returns the new root. */
export function replaceNode(root: StoreNode, path: string, replacement: StoreNode | null): StoreNode {
  const descend = (node: StoreNode, names: readonly string[]): StoreNode => {
    const [name, ...rest] = names;
    const children = new Map(node.children);
    if (rest.length > 0) children.set(name!, descend(node.children.get(name!)!, rest));
    else if (replacement) children.set(name!, replacement);
    else children.delete(name!);
    return { ...node, children };
  };
  return path === '/' ? replacement! : descend(root, namesOf(path));
}

export function mayRead(node: StoreNode, domid: number, privileged: boolean): boolean {
  return privileged || has(node, domid, 'r');
}
export function mayWrite(node: StoreNode, domid: number, privileged: boolean): boolean {
  return privileged || has(node, domid, 'w');
}
export const ownerOf = (node: StoreNode): number => node.permissions[0]!.domid;

function has(node: StoreNode, domid: number, right: 'r' | 'w'): boolean {
  const [owner, ...others] = node.permissions;
  if (owner!.domid === domid) return true;
  const letter = others.find((p) => p.domid === domid)?.letter ?? owner!.letter;
  return letter === 'b' || letter === right;
}

/** 'r3' -> { letter: 'r', domid: 3 }; null if it is no permission. */
export function parsePermission(text: string): Permission | null {
  const match = /^([nrwb])(\d{1,5})$/.exec(text);
  if (!match) return null;
  return { letter: match[1] as Permission['letter'], domid: Number(match[2]) };
}
export const formatPermission = (p: Permission): string => `${p.letter}${p.domid}`;

/** Nodes of a subtree with their paths, the top first. */
export function* walk(node: StoreNode, path: string): Generator<[string, StoreNode]> {
  yield [path, node];
  for (const [name, child] of node.children)
    yield* walk(child, path === '/' ? `/${name}` : `${path}/${name}`);
}
