/** The state of the lab's face: the last snapshot of each view and what the user chose. Effects are in actions.ts. */
import { createStore } from 'zustand/vanilla';
import type { UserError } from '../base/result.ts';
import type { PageTableWindow, TracedCall, TraceRow } from '../worker/protocol.ts';
import { Consoles } from './consoles.ts';
import type { Demo, Gallery } from './gallery.ts';
import type { Layout } from './layout.ts';
import type { Selection } from './selection.ts';
import type { Views } from './views.ts';

export type Screen = 'lab' | 'gallery' | 'reference';
export type Dialog = 'none' | 'palette' | 'keys' | 'open' | 'reset' | 'fresh';

/** What the registers and ports looked like before the last step, or when the machine last stood still. */
export interface Baseline {
  since: 'step' | 'stop';
  views: Views;
}

export interface Progress {
  title: string;
  detail: string;
  /** 0 to 1, or null where the end is not known. */
  fraction: number | null;
}

/** A console whose machine is gone, kept to be read. */
export interface FormerConsole {
  key: string;
  name: string;
}

/** A demo of the present machine. */
export interface StartedDemo {
  demo: Demo;
  domids: number[];
  /** The lab was asked to do the user's part. */
  played: boolean;
}

export interface OpenedFiles {
  kernel: File | null;
  ramdisk: File | null;
}

export interface LabState {
  connection: 'starting' | 'ready' | 'restarting';
  /** Counts machines: consoles of an earlier one are told apart by it. */
  generation: number;
  views: Views;
  baseline: Baseline | null;
  selection: Selection;
  screen: Screen;
  layout: Layout;
  dialog: Dialog;
  /** The newest demo of this machine. */
  started: StartedDemo | null;
  /** A demo that waits for the answer whether it may have a machine of its own. */
  asked: { demo: Demo; why: string } | null;
  gallery: Gallery;
  files: OpenedFiles;
  progress: Progress | null;
  /** What went wrong last, until dismissed. */
  error: (UserError & { title: string }) | null;
  /** Said once to everybody: worker restarts and the like. */
  notice: string | null;
  /** What a screen reader is told. */
  announcement: string;
  window: PageTableWindow;
  hypercallTab: 'trace' | 'counts';
  traceAll: boolean;
  /** The trace shows this hypercall only. */
  traceCall: (TracedCall & { name: string }) | null;
  /** The event of the trace that is looked at; it may have left the trace. */
  traceRow: TraceRow | null;
  processorTab: 'code' | 'stack' | 'segments';
  /** The console takes the room of the processor and the page tables. */
  wideConsole: boolean;
  historyNs: number;
  speed: number;
  memoryMiB: number;
  /** CPUs of the next machine, where its demo does not say. */
  cpus: number;
  former: readonly FormerConsole[];
  /** Keys of the consoles on which console_io printed beside a console ring. */
  emergencyConsoles: readonly string[];
  /** Key of a former console that is shown instead of the selected domain's. */
  shownFormer: string | null;
}

/** With PAE the kernel is below slot 3 of the L3, so that one is open from the start. */
export const INITIAL_WINDOW: PageTableWindow = { opened: ['3'], from: 0, count: 64, walk: null };
const HISTORY_NS = 50_000_000;

export function createLabStore(layout: Layout) {
  return createStore<LabState>(() => ({
    connection: 'starting',
    generation: 0,
    views: {},
    baseline: null,
    selection: { domid: null, vcpu: 0 },
    screen: 'gallery',
    layout,
    dialog: 'none',
    started: null,
    asked: null,
    gallery: { state: 'loading' },
    files: { kernel: null, ramdisk: null },
    progress: null,
    error: null,
    notice: null,
    announcement: '',
    window: INITIAL_WINDOW,
    hypercallTab: 'trace',
    traceAll: true,
    traceCall: null,
    traceRow: null,
    processorTab: 'code',
    wideConsole: false,
    historyNs: HISTORY_NS,
    speed: 1,
    memoryMiB: 256,
    cpus: 1,
    former: [],
    emergencyConsoles: [],
    shownFormer: null,
  }));
}
export type LabStore = ReturnType<typeof createLabStore>;

export const consoles = new Consoles();
