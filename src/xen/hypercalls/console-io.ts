/** console_io (18): the emergency console. 3.0.2 (verbose build): everybody; 4.17: the initial domain only. */
import { EFAULT, ENOSYS, EPERM } from '../abi/errno.ts';
import { enteredConsoleRing } from '../console-ring.ts';
import { refuseWith } from '../refuse.ts';
import type { HypercallRow, SubOpRow } from './row.ts';

const CONSOLEIO_write = 0;
const CONSOLEIO_read = 1;
const CHUNK = 4096;

const SUB_OPS: readonly SubOpRow[] = [
  { number: CONSOLEIO_write, name: 'CONSOLEIO_write', arg: null, doc: 'Prints bytes.', seed: 'console_io()' },
  {
    number: CONSOLEIO_read,
    name: 'CONSOLEIO_read',
    arg: null,
    doc: 'Reads typed bytes.',
    seed: 'console_io()',
  },
];

export const consoleIo: HypercallRow = {
  number: 18,
  name: 'console_io',
  args: [
    { name: 'cmd', as: 'cmd' },
    { name: 'count', as: 'dec' },
    { name: 'buffer', as: 'pointer' },
  ],
  doc: 'The emergency console: write and read bytes.',
  seed: 'console_io()',
  subOps: SUB_OPS,
  run: ({ hv, domain, vcpu }, args) => {
    const cmd = args[0]!;
    const count = args[1]!;
    let at = args[2]!;
    if (domain.personality === '4.17' && !domain.privileged) {
      hv.trace.countSubCall(18, cmd, true);
      return refuseWith(hv, vcpu, EPERM, {
        operation: 'console_io',
        rule: 'emergency-console',
        because: 'the emergency console belongs to the initial domain',
        legal: 'an ordinary domain prints through its console ring',
      });
    }
    if (cmd !== CONSOLEIO_write && cmd !== CONSOLEIO_read) return ENOSYS;
    hv.trace.countSubCall(18, cmd, false);
    if (cmd === CONSOLEIO_read) {
      const typed = hv.hooks.consoleRead(domain, count);
      return hv.guest.write(domain, at, typed) ? typed.length : EFAULT;
    }
    for (let left = count; left > 0; ) {
      const chunk = Math.min(left, CHUNK);
      const bytes = hv.guest.readBytes(domain, at, chunk);
      if (bytes === null) return EFAULT;
      hv.hooks.consoleIo(domain, bytes);
      at += chunk;
      left -= chunk;
    }
    if (count > 0) enteredConsoleRing(hv, domain);
    return 0;
  },
};
