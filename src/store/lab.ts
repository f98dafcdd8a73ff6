/** The one lab of this page: its store, its actions, its commands, and the hook that components select with. */
import { useStore } from 'zustand';
import { LabActions } from './actions.ts';
import { AddressBar } from './address-bar.ts';
import { createCommands } from './commands.ts';
import { createLabStore, type LabState } from './lab-store.ts';
import { storedLayout } from './layout.ts';

const prefersDark = globalThis.matchMedia?.('(prefers-color-scheme: dark)').matches ?? false;

export const labStore = createLabStore(storedLayout(globalThis.localStorage, prefersDark));

export const actions = new LabActions(
  labStore,
  () => new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module', name: 'lab' }),
);

export const addressBar = new AddressBar(labStore, actions);

export const commands = createCommands(labStore, actions);

/** Select references, never fresh objects; derive with useMemo. */
export function useLab<T>(select: (state: LabState) => T): T {
  return useStore(labStore, select);
}
