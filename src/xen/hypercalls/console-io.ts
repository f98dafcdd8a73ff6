/** console_io (18): the emergency console. 3.0.2 (verbose build): everybody; 4.17: the initial domain only. */
import { EFAULT, ENOSYS, EPERM } from '../abi/errno.ts';
import { enteredConsoleRing } from '../console-ring.ts';
import { meetAgain, partIsOver } from '../continuation.ts';
import { refuseWith } from '../refuse.ts';
import type { HypercallRow, SubOpRow } from './row.ts';

const CONSOLEIO_write = 0;
const CONSOLEIO_read = 1;
/** Bytes that are taken at a time; between two such pieces a long call may be put aside. */
const CHUNK = 128;

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
    const from = args[2]!;
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
    if (cmd === CONSOLEIO_read) {
      hv.trace.countSubCall(18, cmd, false);
      const typed = hv.hooks.consoleRead(domain, count);
      return hv.guest.write(domain, from, typed) ? typed.length : EFAULT;
    }
    for (let done = 0; done < count; done += CHUNK) {
      if (done > 0 && partIsOver(hv)) {
        enteredConsoleRing(hv, domain);
        args[1] = count - done;
        args[2] = from + done;
        return meetAgain(hv);
      }
      const bytes = hv.guest.readBytes(domain, from + done, Math.min(count - done, CHUNK));
      if (bytes === null) {
        hv.trace.countSubCall(18, cmd, true);
        return EFAULT;
      }
      hv.hooks.consoleIo(domain, bytes);
    }
    hv.trace.countSubCall(18, cmd, false);
    if (count > 0) enteredConsoleRing(hv, domain);
    return 0;
  },
};
