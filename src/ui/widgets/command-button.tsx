import type { ReactNode } from 'react';
import { keyLabel } from '../../store/commands.ts';
import { commands, labStore, useLab } from '../../store/lab.ts';

export const IS_MAC = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? '');

/** A button of the command registry. Disabled, it says why. */
export function CommandButton(props: {
  id: string;
  children: ReactNode;
  className?: string | undefined;
  label?: string;
  showKey?: boolean;
}) {
  const command = commands.find((c) => c.id === props.id)!;
  const why = useLab((s) => command.disabled(s));
  const key = command.key === undefined ? '' : ` (${keyLabel(command.key, IS_MAC)})`;
  return (
    <button
      type="button"
      className={props.className}
      aria-label={props.label}
      aria-disabled={why !== null}
      aria-keyshortcuts={command.key?.replace('Mod', 'Control')}
      title={why === null ? `${command.label}${key}` : why}
      onClick={() => {
        if (command.disabled(labStore.getState()) === null) command.perform();
      }}
    >
      {props.children}
      {props.showKey && command.key !== undefined && <kbd>{keyLabel(command.key, IS_MAC)}</kbd>}
    </button>
  );
}
