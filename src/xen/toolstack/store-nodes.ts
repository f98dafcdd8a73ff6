/** What the toolstack writes into the xenstore for a domain, and where domains may meet. boot.md section 13. */
import type { Domain } from '../domain.ts';
import type { Xenstore } from './xenstore.ts';
import { type Permission, parentPath } from './xenstore-tree.ts';

/** Everybody may write here: domains of one demo find each other, each node belongs to who made it. */
export const MEETING_PLACE = '/demo';

/** Directories and nodes that a guest may write. */
const GUEST_NODES = [
  'data',
  'drivers',
  'feature',
  'attr',
  'error',
  'control/shutdown',
  'control/sysrq',
  'control/feature-poweroff',
  'control/feature-reboot',
  'control/feature-suspend',
  'device/suspend/event-channel',
];

export function prepareStore(store: Xenstore): void {
  store.write('/tool/xenstored', '');
  store.write('/local/domain/0/domid', '0');
  store.write('/local/domain/0/name', 'Domain-0');
  store.write(MEETING_PLACE, '', [{ letter: 'b', domid: 0 }]);
}

function uuid(handle: Uint8Array): string {
  const digits = [...handle].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20),
  ].join('-');
}

export function addDomainNodes(store: Xenstore, domain: Domain): void {
  const home = `/local/domain/${domain.id}`;
  const vm = `/vm/${uuid(domain.handle)}`;
  const readable: Permission[] = [
    { letter: 'n', domid: 0 },
    { letter: 'r', domid: domain.id },
  ];
  const kib = String(domain.maxFrames * 4);
  store.write(vm, '', readable);
  store.write(`${vm}/name`, domain.config.name);
  store.write(`${vm}/uuid`, uuid(domain.handle));
  store.write(home, '', readable);
  const nodes: Record<string, string> = {
    domid: String(domain.id),
    name: domain.config.name,
    vm,
    'memory/static-max': kib,
    'memory/target': kib,
    'memory/videoram': '0',
    device: '',
    control: '',
    'control/platform-feature-multiprocessor-suspend': '1',
    'control/platform-feature-xs_reset_watches': '1',
  };
  for (const vcpu of domain.vcpus) nodes[`cpu/${vcpu.id}/availability`] = 'online';
  if (!domain.privileged) {
    Object.assign(nodes, {
      'store/ring-ref': String(domain.storeMfn),
      'store/port': String(domain.storePort),
      'console/ring-ref': String(domain.consoleMfn),
      'console/port': String(domain.consolePort),
      'console/limit': '1048576',
      'console/type': 'xenconsoled',
      'console/output': 'pty',
      'console/tty': `/dev/pts/${domain.id}`,
    });
  }
  for (const [name, value] of Object.entries(nodes)) store.write(`${home}/${name}`, value);
  for (const name of GUEST_NODES) {
    const path = `${home}/${name}`;
    if (store.read(parentPath(path)) === null) store.write(parentPath(path), '');
    store.write(path, '', [{ letter: 'n', domid: domain.id }]);
  }
}

export function removeDomainNodes(store: Xenstore, domain: Domain): void {
  store.remove(`/local/domain/${domain.id}`);
  store.remove(`/vm/${uuid(domain.handle)}`);
  store.removeOwned(MEETING_PLACE, domain.id);
}
