/**
 * Every command of the lab once: buttons, keys and the palette are made from it. A command that is not enabled says
 * why, so a disabled button can be understood.
 */
import type { LabActions } from './actions.ts';
import type { LabState, LabStore } from './lab-store.ts';
import { SPEEDS } from './speeds.ts';

export interface Command {
  id: string;
  label: string;
  /** Heading in the palette and the list of keys. */
  group: 'Machine' | 'View' | 'Domains' | 'Help';
  /** As KeyboardEvent.key, with 'Mod+' for Ctrl or Cmd. */
  key?: string;
  /** Null when it can be done now, else why not. */
  disabled(state: LabState): string | null;
  perform(): void;
}

const NEVER_DISABLED = (): null => null;

function isRunning(s: LabState): boolean {
  const mode = s.views.machine?.mode;
  return mode === 'running' || mode === 'idle';
}

function whyNotStep(s: LabState): string | null {
  const mode = s.views.machine?.mode;
  if (mode === undefined) return 'The engine is starting.';
  if (mode === 'empty') return 'There is no domain yet.';
  if (mode === 'ended') return 'Every domain has ended.';
  if (mode === 'failed') return 'The engine stopped on an error of its own.';
  return isRunning(s) ? 'Pause first.' : null;
}

function whyNotRun(s: LabState): string | null {
  if (isRunning(s)) return null;
  return whyNotStep(s);
}

function whyNoDomain(s: LabState): string | null {
  return s.selection.domid === null ? 'There is no domain yet.' : null;
}

/** The devices with buttons are the privileged domain's. */
function whyNoHardware(s: LabState): string | null {
  const privileged = s.views.domains?.domains.find((domain) => domain.privileged);
  if (privileged === undefined) return 'Only a privileged domain has hardware; none was booted.';
  return privileged.ending === null ? null : 'The privileged domain has ended.';
}

function whyNoDebugKey(s: LabState): string | null {
  const { domid } = s.selection;
  const selected = s.views.domains?.domains.find((domain) => domain.domid === domid);
  if (selected === undefined) return 'There is no domain yet.';
  return selected.ending === null ? null : 'The selected domain has ended.';
}

/** The last physical CPU that can go, and the first that can come back; 0: there is none. */
const lastOnLine = (s: LabState): number => {
  const { cpus = 1, cpusOffLine = [] } = s.views.machine ?? {};
  for (let cpu = cpus - 1; cpu > 0; cpu--) if (!cpusOffLine.includes(cpu)) return cpu;
  return 0;
};
const firstOffLine = (s: LabState): number => s.views.machine?.cpusOffLine[0] ?? 0;
/** CPU 0 never goes. */
const pressCpu = (actions: LabActions, cpu: number, way: 'off' | 'on'): void => {
  if (cpu === 1 || cpu === 2 || cpu === 3) actions.press(`cpu${cpu}-${way}`, 0);
};

function whyNotPlay({ started, views }: LabState): string | null {
  if (started === null) return 'No demo was started on this machine.';
  const { input = [], presses = [] } = started.demo;
  if (input.length + presses.length === 0) return 'This demo asks nothing of its user.';
  if (views.machine?.playing) return 'The lab is at it.';
  const lives = views.domains?.domains.some((d) => d.ending === null && started.domids.includes(d.domid));
  return lives ? null : 'The demo has ended.';
}

/** The selected domain if it has suspended itself, else the newest that has. */
function suspendedDomain(s: LabState): number | null {
  const suspended = (s.views.domains?.domains ?? []).filter((d) => d.ending?.startsWith('suspended'));
  const selected = suspended.find((d) => d.domid === s.selection.domid);
  return (selected ?? suspended.at(-1))?.domid ?? null;
}

export function speedLabel(speed: number): string {
  if (speed === 0) return 'unlimited';
  if (speed === 1) return 'real time';
  return `1/${Math.round(1 / speed)
    .toLocaleString('en')
    .replaceAll(',', ' ')}`;
}

export function createCommands(store: LabStore, actions: LabActions): Command[] {
  const set = (change: Partial<LabState>) => store.setState(change);
  const speedBy = (by: number) => {
    const at = SPEEDS.indexOf(store.getState().speed as (typeof SPEEDS)[number]);
    const next = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, at + by))]!;
    actions.say(`Speed ${speedLabel(next)}`);
    void actions.setSpeed(next);
  };
  return [
    {
      id: 'run',
      label: 'Run or pause',
      group: 'Machine',
      key: 'r',
      disabled: whyNotRun,
      perform: () => void actions.toggleRun(),
    },
    {
      id: 'step-instruction',
      label: 'Step one instruction',
      group: 'Machine',
      key: 'i',
      disabled: whyNotStep,
      perform: () => void actions.step('instruction'),
    },
    {
      id: 'step-hypercall',
      label: 'Run to after the next hypercall',
      group: 'Machine',
      key: 'h',
      disabled: whyNotStep,
      perform: () => void actions.step('hypercall'),
    },
    {
      id: 'step-event',
      label: 'Run to the next event',
      group: 'Machine',
      key: 'e',
      disabled: whyNotStep,
      perform: () => void actions.step('event'),
    },
    {
      id: 'slower',
      label: 'Slower',
      group: 'Machine',
      key: '-',
      disabled: NEVER_DISABLED,
      perform: () => speedBy(-1),
    },
    {
      id: 'faster',
      label: 'Faster',
      group: 'Machine',
      key: '+',
      disabled: NEVER_DISABLED,
      perform: () => speedBy(1),
    },
    {
      id: 'press-button',
      label: 'Press the lab button (IRQ 11)',
      group: 'Machine',
      disabled: whyNoHardware,
      perform: () => actions.press('button', 0),
    },
    {
      id: 'press-nmi',
      label: 'Send an NMI to the privileged domain',
      group: 'Machine',
      disabled: whyNoHardware,
      perform: () => actions.press('nmi', 0),
    },
    {
      id: 'send-debug',
      label: 'Send VIRQ_DEBUG to the selected domain',
      group: 'Machine',
      disabled: whyNoDebugKey,
      perform: () => {
        const { domid } = store.getState().selection;
        if (domid !== null) actions.press('debug', domid);
      },
    },
    {
      id: 'cpu-off',
      label: 'Take the last physical CPU off line',
      group: 'Machine',
      disabled: (s) => (lastOnLine(s) === 0 ? 'The machine needs the one CPU that is on line.' : null),
      perform: () => pressCpu(actions, lastOnLine(store.getState()), 'off'),
    },
    {
      id: 'cpu-on',
      label: 'Bring a physical CPU back on line',
      group: 'Machine',
      disabled: (s) => (firstOffLine(s) === 0 ? 'Every CPU is on line.' : null),
      perform: () => pressCpu(actions, firstOffLine(store.getState()), 'on'),
    },
    {
      id: 'play',
      label: "Play the user's part of the demo",
      group: 'Machine',
      disabled: (s) => whyNotPlay(s),
      perform: () => void actions.play(),
    },
    {
      id: 'reset',
      label: 'Reset: a new, empty machine',
      group: 'Machine',
      key: 'Shift+R',
      disabled: NEVER_DISABLED,
      perform: () => set({ dialog: 'reset' }),
    },
    {
      id: 'lab',
      label: 'Show the lab',
      group: 'View',
      key: '1',
      disabled: NEVER_DISABLED,
      perform: () => actions.show('lab'),
    },
    {
      id: 'gallery',
      label: 'Show the gallery',
      group: 'View',
      key: '2',
      disabled: NEVER_DISABLED,
      perform: () => actions.show('gallery'),
    },
    {
      id: 'reference',
      label: 'Show the reference of hypercalls',
      group: 'View',
      key: '3',
      disabled: NEVER_DISABLED,
      perform: () => actions.show('reference'),
    },
    {
      id: 'theme',
      label: 'Light or dark',
      group: 'View',
      key: 't',
      disabled: NEVER_DISABLED,
      perform: () => actions.toggleTheme(),
    },
    {
      id: 'projector',
      label: 'Projector: large and few',
      group: 'View',
      key: 'p',
      disabled: NEVER_DISABLED,
      perform: () => actions.toggleProjector(),
    },
    {
      id: 'next-panel',
      label: 'Go to the next panel (leaves the console too)',
      group: 'View',
      key: 'F6',
      disabled: NEVER_DISABLED,
      perform: () => focusNextPanel(1),
    },
    {
      id: 'previous-panel',
      label: 'Go to the previous panel',
      group: 'View',
      key: 'Shift+F6',
      disabled: NEVER_DISABLED,
      perform: () => focusNextPanel(-1),
    },
    {
      id: 'console',
      label: 'Type into the console',
      group: 'View',
      key: 'c',
      disabled: whyNoDomain,
      perform: () => focusLabelled('[data-console] textarea'),
    },
    {
      id: 'wide-console',
      label: 'Wide console, and back',
      group: 'View',
      key: 'z',
      disabled: whyNoDomain,
      perform: () => set({ wideConsole: !store.getState().wideConsole }),
    },
    {
      id: 'search-console',
      label: 'Search the console',
      group: 'View',
      key: '/',
      disabled: whyNoDomain,
      perform: () => focusLabelled('[data-console-search]'),
    },
    {
      id: 'walk',
      label: 'Walk an address',
      group: 'View',
      key: 'w',
      disabled: whyNoDomain,
      perform: () => focusLabelled('[data-walk-address]'),
    },
    {
      id: 'next-domain',
      label: 'Next domain',
      group: 'Domains',
      key: ']',
      disabled: whyNoDomain,
      perform: () => actions.selectNeighbour(1),
    },
    {
      id: 'previous-domain',
      label: 'Previous domain',
      group: 'Domains',
      key: '[',
      disabled: whyNoDomain,
      perform: () => actions.selectNeighbour(-1),
    },
    {
      id: 'save',
      label: 'Save the lab as a file',
      group: 'Machine',
      key: 'Mod+s',
      disabled: (s) => (s.views.machine === undefined ? 'The engine is starting.' : null),
      perform: () => void actions.saveLab(),
    },
    {
      id: 'copy-link',
      label: 'Copy a link to this view',
      group: 'View',
      key: 'l',
      disabled: NEVER_DISABLED,
      perform: () =>
        void navigator.clipboard?.writeText(location.href).then(() => actions.say('The link is copied.')),
    },
    {
      id: 'restore',
      label: 'Let the suspended domain go on, on other frames',
      group: 'Domains',
      disabled: (s) => (suspendedDomain(s) === null ? 'No domain has suspended itself.' : null),
      perform: () => {
        const domid = suspendedDomain(store.getState());
        if (domid !== null) void actions.restore(domid);
      },
    },
    {
      id: 'open',
      label: 'Open a kernel or a saved lab',
      group: 'Domains',
      key: 'o',
      disabled: NEVER_DISABLED,
      perform: () => set({ dialog: 'open', files: { kernel: null, ramdisk: null }, error: null }),
    },
    {
      id: 'remove',
      label: 'Remove the selected domain',
      group: 'Domains',
      key: 'Delete',
      disabled: whyNoDomain,
      perform: () => {
        const { domid } = store.getState().selection;
        if (domid !== null) void actions.destroy(domid);
      },
    },
    {
      id: 'palette',
      label: 'All commands',
      group: 'Help',
      key: 'Mod+k',
      disabled: NEVER_DISABLED,
      perform: () => set({ dialog: 'palette' }),
    },
    {
      id: 'keys',
      label: 'The keys',
      group: 'Help',
      key: '?',
      disabled: NEVER_DISABLED,
      perform: () => set({ dialog: 'keys' }),
    },
  ];
}

/** Boots of the gallery are commands of the palette too. */
export function demoCommands(state: LabState, actions: LabActions): Command[] {
  if (state.gallery.state !== 'ready') return [];
  return state.gallery.demos.map((demo) => ({
    id: `boot-${demo.id}`,
    label: `Boot ${demo.title}`,
    group: 'Domains',
    disabled: NEVER_DISABLED,
    perform: () => void actions.bootDemo(demo),
  }));
}

/** How a key is written out: 'Mod+k' = 'Ctrl K' or '⌘K'. */
export function keyLabel(key: string, mac: boolean): string {
  const named: Record<string, string> = { Mod: mac ? '⌘' : 'Ctrl', Shift: mac ? '⇧' : 'Shift', '-': '−' };
  return key
    .split(/(?<=.)\+/)
    .map((part) => named[part] ?? (part.length === 1 ? part.toUpperCase() : part))
    .join(mac ? '' : ' ');
}

/** What of a KeyboardEvent decides which command it means. */
export interface KeyPress {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  shiftKey: boolean;
}

/** The command of a key press, or undefined. Letters mean the command whatever the case, unless Shift is part of it. */
export function commandOfKey(commands: readonly Command[], press: KeyPress): Command | undefined {
  if (press.altKey) return undefined;
  const mod = press.ctrlKey || press.metaKey;
  const named = press.key.length > 1 || /[a-z]/i.test(press.key);
  const name = press.key.length === 1 && /[a-z]/i.test(press.key) ? press.key.toLowerCase() : press.key;
  return commands.find((command) => {
    if (command.key === undefined) return false;
    const wantsMod = command.key.startsWith('Mod+');
    const wantsShift = command.key.startsWith('Shift+');
    if (wantsMod !== mod || (named && wantsShift !== press.shiftKey)) return false;
    const key = command.key.replace(/^(Mod|Shift)\+/, '');
    return wantsShift ? key.toLowerCase() === name.toLowerCase() : key === name;
  });
}

function focusLabelled(selector: string): void {
  document.querySelector<HTMLElement>(selector)?.focus();
}

function focusNextPanel(by: number): void {
  const panels = [...document.querySelectorAll<HTMLElement>('[data-stop]')].filter(
    (panel) => panel.offsetParent !== null,
  );
  if (panels.length === 0) return;
  const at = panels.findIndex((panel) => panel.contains(document.activeElement));
  panels[(at + by + panels.length) % panels.length]!.focus();
}
