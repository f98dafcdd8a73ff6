/** All commands by name, and the keys they have. */
import { Command } from 'cmdk';
import { Dialog } from 'radix-ui';
import { useMemo } from 'react';
import { demoCommands, keyLabel, type Command as LabCommand } from '../../../store/commands.ts';
import { actions, commands, labStore, useLab } from '../../../store/lab.ts';
import { IS_MAC } from '../../widgets/command-button.tsx';
import css from './dialogs.module.css';

export function Palette() {
  const open = useLab((s) => s.dialog === 'palette');
  const gallery = useLab((s) => s.gallery);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the gallery decides which demos there are
  const all = useMemo(() => [...commands, ...demoCommands(labStore.getState(), actions)], [gallery]);
  return (
    <Dialog.Root open={open} onOpenChange={(is) => labStore.setState({ dialog: is ? 'palette' : 'none' })}>
      <Dialog.Portal>
        <Dialog.Overlay className={css['overlay']} />
        <Dialog.Content
          className={`${css['dialog']} ${css['palette']}`}
          aria-describedby={undefined}
          onCloseAutoFocus={(event) => event.preventDefault()}
        >
          <Dialog.Title className="unseen">Commands</Dialog.Title>
          <Command label="Commands">
            <Command.Input className={css['seek']} placeholder="What do you want to do?" />
            <Command.List className={css['found']}>
              <Command.Empty className={css['nothing']}>No command has such a name.</Command.Empty>
              {all.map((command) => (
                <PaletteItem key={command.id} command={command} />
              ))}
            </Command.List>
          </Command>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function PaletteItem({ command }: { command: LabCommand }) {
  const why = useLab((s) => command.disabled(s));
  return (
    <Command.Item
      value={`${command.label} ${command.group}`}
      disabled={why !== null}
      className={css['item']}
      onSelect={() => {
        labStore.setState({ dialog: 'none' });
        // After the dialog has given the focus back, so that commands that move it have the last word.
        requestAnimationFrame(() => command.perform());
      }}
    >
      <span className="third small">{command.group}</span>
      <span>{command.label}</span>
      <span className="small third cut">{why ?? ''}</span>
      {command.key !== undefined && <kbd>{keyLabel(command.key, IS_MAC)}</kbd>}
    </Command.Item>
  );
}

const TIMELINE_KEYS: readonly (readonly [string, string])[] = [
  ['W, S', 'zoom in, zoom out'],
  ['A, D', 'earlier, later'],
  ['↑, ↓', 'other lanes'],
  ['End', 'follow now'],
];
const CONSOLE_KEYS: readonly (readonly [string, string])[] = [
  ['Ctrl Shift C', 'copy the selection, or all'],
  ['Ctrl Shift V', 'paste'],
  ['F6', 'leave the console'],
];

export function KeysDialog() {
  const open = useLab((s) => s.dialog === 'keys');
  const groups = ['Machine', 'View', 'Domains', 'Help'] as const;
  return (
    <Dialog.Root open={open} onOpenChange={(is) => labStore.setState({ dialog: is ? 'keys' : 'none' })}>
      <Dialog.Portal>
        <Dialog.Overlay className={css['overlay']} />
        <Dialog.Content className={`${css['dialog']} ${css['wide']}`} aria-describedby={undefined}>
          <Dialog.Title className={css['title']}>The keys</Dialog.Title>
          <div className={css['keys']}>
            {groups.map((group) => (
              <KeyGroup
                key={group}
                title={group}
                keys={commands
                  .filter((c) => c.group === group && c.key !== undefined)
                  .map((c) => [keyLabel(c.key!, IS_MAC), c.label] as const)}
              />
            ))}
            <KeyGroup title="In the timeline" keys={TIMELINE_KEYS} />
            <KeyGroup title="In the console" keys={CONSOLE_KEYS} />
          </div>
          <div className={css['buttons']}>
            <span className="spacer" />
            <Dialog.Close className="boxed" type="button">
              Close
            </Dialog.Close>
          </div>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function KeyGroup({ title, keys }: { title: string; keys: readonly (readonly [string, string])[] }) {
  return (
    <section>
      <h3 className="bold">{title}</h3>
      <dl>
        {keys.map(([key, words]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{words}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
