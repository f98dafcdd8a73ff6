/** The frame of the page: machine bar, the screen that is shown, dialogs; keys and dropped files for all of it. */
import { useEffect, useLayoutEffect, useState } from 'react';
import { commandOfKey } from '../store/commands.ts';
import { actions, commands, labStore, useLab } from '../store/lab.ts';
import css from './app.module.css';
import { LabScreen } from './lab-screen.tsx';
import { Busy } from './panels/dialogs/busy.tsx';
import { FreshDialog } from './panels/dialogs/fresh.tsx';
import { OpenDialog } from './panels/dialogs/open.tsx';
import { KeysDialog, Palette } from './panels/dialogs/palette.tsx';
import { ResetDialog } from './panels/dialogs/reset.tsx';
import { GalleryScreen } from './panels/gallery/panel.tsx';
import { MachineBar } from './panels/machine-bar/panel.tsx';
import { ReferenceScreen } from './panels/reference/panel.tsx';

export function App() {
  const screen = useLab((s) => s.screen);
  const layout = useLab((s) => s.layout);
  const announcement = useLab((s) => s.announcement);
  // Before the effects of panels that read colours from the page.
  useLayoutEffect(() => {
    document.documentElement.dataset['theme'] = layout.theme;
    if (layout.projector) document.documentElement.dataset['projector'] = '';
    else delete document.documentElement.dataset['projector'];
  }, [layout]);
  useKeys();
  const dragging = useDroppedFiles();
  return (
    <div className={css['app']}>
      <MachineBar />
      {screen === 'lab' && <LabScreen />}
      {screen === 'gallery' && <GalleryScreen />}
      {screen === 'reference' && <ReferenceScreen />}
      <Busy />
      <OpenDialog />
      <Palette />
      <KeysDialog />
      <ResetDialog />
      <FreshDialog />
      {dragging && (
        <div className={css['drop']}>
          <p>Drop a kernel, and a ramdisk if it needs one. Nothing leaves this browser.</p>
        </div>
      )}
      <p className="unseen" aria-live="polite">
        {announcement}
      </p>
    </div>
  );
}

/** Keys mean commands unless something is being typed or a dialog is open. */
function useKeys(): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const typing = target.matches('input, textarea, select, [contenteditable]');
      const command = commandOfKey(commands, event);
      if (command === undefined) return;
      const open = labStore.getState().dialog !== 'none';
      const everywhere = command.key?.startsWith('Mod+') === true || command.key?.endsWith('F6') === true;
      if (open || (typing && !everywhere)) return;
      event.preventDefault();
      const why = command.disabled(labStore.getState());
      if (why === null) command.perform();
      else actions.say(why);
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, []);
}

function useDroppedFiles(): boolean {
  const [dragging, setDragging] = useState(false);
  useEffect(() => {
    const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') === true;
    const over = (event: DragEvent) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      setDragging(true);
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setDragging(false);
    };
    const drop = (event: DragEvent) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      setDragging(false);
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length > 0) void actions.openFiles(files);
    };
    addEventListener('dragover', over);
    addEventListener('dragleave', leave);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragover', over);
      removeEventListener('dragleave', leave);
      removeEventListener('drop', drop);
    };
  }, []);
  return dragging;
}
