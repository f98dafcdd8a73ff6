/** Opening a kernel of one's own: the file, a ramdisk if it needs one, and what the domain is given. */
import { Dialog } from 'radix-ui';
import { type FormEvent, useEffect, useState } from 'react';
import { actions, labStore, useLab } from '../../../store/lab.ts';
import type { DomainRequest } from '../../../worker/protocol.ts';
import css from './dialogs.module.css';
import { adviceFor, fileSize, nameOfFile, readFile } from './files.ts';
import { CPUS } from './machine.ts';
import { WholeNumber, wholeNumber } from './whole-number.tsx';

export function OpenDialog() {
  const open = useLab((s) => s.dialog === 'open');
  return (
    <Dialog.Root open={open} onOpenChange={(is) => labStore.setState({ dialog: is ? 'open' : 'none' })}>
      <Dialog.Portal>
        <Dialog.Overlay className={css['overlay']} />
        <Dialog.Content className={css['dialog']} aria-describedby={undefined}>
          <Dialog.Title className={css['title']}>Open a kernel</Dialog.Title>
          <OpenForm />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

const MOST_MIB = 1024;
/** As many as shared_info has room for. */
const MOST_VCPUS = 32;
const ABIS: readonly (readonly [DomainRequest['abi'], string])[] = [
  ['auto', 'as the image says'],
  ['x86_32p', 'PAE, xen-3.0-x86_32p'],
  ['x86_32', '2-level, xen-3.0-x86_32'],
];
const XENS: readonly (readonly [DomainRequest['xen'], string])[] = [
  ['auto', 'by the paging mode'],
  ['4.17', '4.17'],
  ['3.0.2', '3.0.2'],
];

function OpenForm() {
  const files = useLab((s) => s.files);
  const progress = useLab((s) => s.progress);
  const error = useLab((s) => s.error);
  const ready = useLab((s) => s.connection === 'ready');
  const [commandLine, setCommandLine] = useState('');
  const [memoryMiB, setMemory] = useState('64');
  const [abi, setAbi] = useState<DomainRequest['abi']>('auto');
  const [xen, setXen] = useState<DomainRequest['xen']>('auto');
  const [privileged, setPrivileged] = useState(false);
  const [vcpusText, setVcpus] = useState('1');
  const presentCpus = useLab((s) => s.views.machine?.cpus ?? s.cpus);
  const [chosenCpus, setCpus] = useState<number | null>(null);
  const lives = useLab((s) => (s.views.domains?.domains.length ?? 0) > 0);
  const cpus = chosenCpus ?? presentCpus;
  const kernel = files.kernel;
  const memory = wholeNumber(memoryMiB, MOST_MIB);
  const vcpus = wholeNumber(vcpusText, MOST_VCPUS);

  // A refused image leaves the dialog open, so that the settings can be corrected.
  useEffect(() => () => labStore.setState({ error: null }), []);

  const boot = async (event: FormEvent) => {
    event.preventDefault();
    if (kernel === null || memory === null || vcpus === null) return;
    const report = (title: string) => (received: number, total: number) =>
      labStore.setState({
        progress: {
          title,
          detail: `reading, ${fileSize(received)} of ${fileSize(total)}`,
          fraction: total > 0 ? received / total : null,
        },
      });
    try {
      const image = await readFile(kernel, report(kernel.name));
      const ramdisk =
        files.ramdisk === null ? undefined : await readFile(files.ramdisk, report(files.ramdisk.name));
      const request = {
        name: nameOfFile(kernel.name),
        image,
        ...(ramdisk ? { ramdisk } : {}),
        commandLine,
        memoryMiB: memory,
        vcpus,
        abi,
        xen,
        privileged,
      };
      await actions.boot(request, cpus);
    } catch (failure) {
      labStore.setState({ progress: null });
      actions.fail(`${kernel.name} could not be read`, {
        code: 'file-unreadable',
        message: failure instanceof Error ? failure.message : String(failure),
      });
    }
  };

  return (
    <form className={css['form']} onSubmit={(event) => void boot(event)}>
      <FileField
        label="Kernel"
        hint="ELF, packed or not, or a bzImage; or a saved lab or domain"
        file={kernel}
        choose={(file) =>
          file === null
            ? labStore.setState((s) => ({ files: { ...s.files, kernel: null } }))
            : void actions.openFiles(files.ramdisk === null ? [file] : [file, files.ramdisk])
        }
      />
      <FileField
        label="Ramdisk"
        hint="only if the kernel needs one"
        file={files.ramdisk}
        choose={(file) => labStore.setState((s) => ({ files: { ...s.files, ramdisk: file } }))}
      />
      {kernel !== null && files.ramdisk !== null && (
        <button
          type="button"
          className={`small underlined ${css['swap']}`}
          onClick={() => labStore.setState({ files: { kernel: files.ramdisk, ramdisk: kernel } })}
        >
          Swap kernel and ramdisk
        </button>
      )}
      <label>
        <span>Command line</span>
        <input
          className="mono"
          value={commandLine}
          spellCheck={false}
          onChange={(event) => setCommandLine(event.target.value)}
        />
      </label>
      <WholeNumber label="Memory, MiB" text={memoryMiB} most={MOST_MIB} onText={setMemory} />
      <WholeNumber label="Vcpus" text={vcpusText} most={MOST_VCPUS} onText={setVcpus} />
      <label>
        <span>Machine CPUs</span>
        <select
          value={cpus}
          aria-describedby="cpus-rule"
          onChange={(event) => setCpus(Number(event.target.value))}
        >
          {CPUS.map((count) => (
            <option key={count} value={count}>
              {count}
            </option>
          ))}
        </select>
      </label>
      <p id="cpus-rule" className={`small ${css['rule']} ${lives && cpus !== presentCpus ? '' : 'unseen'}`}>
        The present machine has {presentCpus}: this kernel gets a new one, and the present domains go.
      </p>
      <label>
        <span>Paging</span>
        <select value={abi} onChange={(event) => setAbi(event.target.value as DomainRequest['abi'])}>
          {ABIS.map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>Xen</span>
        <select value={xen} onChange={(event) => setXen(event.target.value as DomainRequest['xen'])}>
          {XENS.map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <label className={css['check']}>
        <input
          type="checkbox"
          checked={privileged}
          onChange={(event) => setPrivileged(event.target.checked)}
        />
        <span>Privileged: the initial domain, d0, with console_io for a console</span>
      </label>

      {error !== null && (
        <div className={`${css['error']} refused`} role="alert" data-testid="boot-error">
          <p>
            <b>{error.title}.</b> {error.message}
          </p>
          {adviceFor(error.code) !== null && <p className="second">{adviceFor(error.code)}</p>}
        </div>
      )}
      {progress !== null && (
        <div className={css['progress']} role="status">
          <progress
            {...(progress.fraction === null ? {} : { value: progress.fraction })}
            aria-label={progress.title}
          />
          <span className="small second">{progress.detail}</span>
        </div>
      )}
      <div className={css['buttons']}>
        <span className="small second">Nothing leaves this browser.</span>
        <span className="spacer" />
        <Dialog.Close className="boxed" type="button">
          Cancel
        </Dialog.Close>
        <button
          type="submit"
          className="primary"
          disabled={kernel === null || memory === null || vcpus === null || progress !== null || !ready}
          title={kernel === null ? 'Choose a kernel first.' : undefined}
        >
          Boot
        </button>
      </div>
    </form>
  );
}

function FileField(props: {
  label: string;
  hint: string;
  file: File | null;
  choose(file: File | null): void;
}) {
  return (
    <div className={css['file']}>
      <span>{props.label}</span>
      <label className={`boxed ${css['pick']}`}>
        Choose…
        <input
          type="file"
          className="unseen"
          aria-label={`${props.label} file`}
          onChange={(event) => props.choose(event.target.files?.[0] ?? null)}
        />
      </label>
      {props.file === null ? (
        <span className="small second">{props.hint}</span>
      ) : (
        <span className="cut">
          {props.file.name} <span className="small second">{fileSize(props.file.size)}</span>
        </span>
      )}
    </div>
  );
}
