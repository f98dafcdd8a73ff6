/** Reset: a new, empty machine. Asked first, because every domain goes. */
import { AlertDialog } from 'radix-ui';
import { useState } from 'react';
import { actions, labStore, useLab } from '../../../store/lab.ts';
import css from './dialogs.module.css';
import { CPUS, cpuWords } from './machine.ts';

const SIZES_MIB = [64, 128, 256, 512, 1024] as const;

export function ResetDialog() {
  const open = useLab((s) => s.dialog === 'reset');
  const present = useLab((s) => s.memoryMiB);
  const presentCpus = useLab((s) => s.cpus);
  const [memoryMiB, setMemory] = useState<number>(present);
  const [cpus, setCpus] = useState<number>(presentCpus);
  return (
    <AlertDialog.Root open={open} onOpenChange={(is) => labStore.setState({ dialog: is ? 'reset' : 'none' })}>
      <AlertDialog.Portal>
        <AlertDialog.Overlay className={css['overlay']} />
        <AlertDialog.Content className={css['dialog']}>
          <AlertDialog.Title className={css['title']}>A new machine</AlertDialog.Title>
          <AlertDialog.Description className={css['words']}>
            All domains go; what they printed is kept. The new machine is empty and its clock stands at zero.
          </AlertDialog.Description>
          <div className={css['form']}>
            <label>
              <span>Machine memory</span>
              <select value={memoryMiB} onChange={(event) => setMemory(Number(event.target.value))}>
                {SIZES_MIB.map((size) => (
                  <option key={size} value={size}>
                    {size} MiB
                  </option>
                ))}
              </select>
            </label>
            <label>
              <span>CPUs</span>
              <select value={cpus} onChange={(event) => setCpus(Number(event.target.value))}>
                {CPUS.map((count) => (
                  <option key={count} value={count}>
                    {cpuWords(count)}
                  </option>
                ))}
              </select>
            </label>
            <div className={css['buttons']}>
              <span className="spacer" />
              <AlertDialog.Cancel className="boxed" type="button">
                Cancel
              </AlertDialog.Cancel>
              <AlertDialog.Action
                className="primary"
                type="button"
                onClick={() => void actions.reset({ memoryMiB, cpus })}
              >
                Reset
              </AlertDialog.Action>
            </div>
          </div>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
