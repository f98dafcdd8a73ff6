import { describe, expect, it, vi } from 'vitest';
import type { DomainSummary, MachineView } from '../worker/protocol.ts';
import type { LabActions } from './actions.ts';
import { commandOfKey, createCommands, demoCommands, keyLabel, speedLabel } from './commands.ts';
import { createLabStore } from './lab-store.ts';

function setup() {
  const store = createLabStore({ theme: 'light', projector: false });
  const done: string[] = [];
  const actions = new Proxy({} as LabActions, {
    get: (_, name) => (value: unknown) => {
      done.push(`${String(name)} ${JSON.stringify(value) ?? ''}`.trim());
      return Promise.resolve();
    },
  });
  const commands = createCommands(store, actions);
  const press = (
    key: string,
    held: Partial<Record<'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey', boolean>> = {},
  ) =>
    commandOfKey(commands, { key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...held })
      ?.id;
  return { store, done, actions, commands, press };
}

const machine = (mode: MachineView['mode']): MachineView => ({
  view: 'machine',
  mode,
  reason: '',
  virtualNs: 0,
  instructions: 0,
  mips: 0,
  speed: 1,
  memoryMiB: 64,
  cpus: 1,
  cpusOffLine: [],
  playing: false,
  freeFrames: 0,
  failure: null,
});

const domain = (domid: number, ending: string | null): DomainSummary => ({
  domid,
  name: `d${domid}`,
  abi: 'x86_32p',
  xen: '4.17',
  privileged: domid === 0,
  frames: 0,
  state: ending === null ? 'running' : 'shutdown',
  ending,
  refusals: [],
  vcpus: [],
});

describe('the buttons of the machine', () => {
  const reasons = (domains: DomainSummary[], selected: number | null) => {
    const { store, commands } = setup();
    store.setState({
      views: { domains: { view: 'domains', domains } },
      selection: { domid: selected, vcpu: 0 },
    });
    return ['press-button', 'press-nmi', 'send-debug'].map((id) =>
      commands.find((command) => command.id === id)!.disabled(store.getState()),
    );
  };

  it('are for a privileged domain that lives; the debug key is for everybody who does', () => {
    const none = 'Only a privileged domain has hardware; none was booted.';
    expect(reasons([], null)).toEqual([none, none, 'There is no domain yet.']);
    expect(reasons([domain(1, null)], 1)).toEqual([none, none, null]);
    expect(reasons([domain(0, null), domain(1, 'powered off')], 1)).toEqual([
      null,
      null,
      'The selected domain has ended.',
    ]);
    const ended = 'The privileged domain has ended.';
    expect(reasons([domain(0, 'crashed'), domain(1, null)], 1)).toEqual([ended, ended, null]);
  });
  it('say what was pressed', () => {
    const { commands, done, store } = setup();
    store.setState({ selection: { domid: 2, vcpu: 0 } });
    for (const id of ['press-button', 'press-nmi', 'send-debug'])
      commands.find((command) => command.id === id)!.perform();
    expect(done).toEqual(['press "button"', 'press "nmi"', 'press "debug"']);
  });
});

describe('the physical CPUs', () => {
  const at = (cpus: number, cpusOffLine: number[]) => {
    const { store, commands, done } = setup();
    store.setState({ views: { machine: { ...machine('running'), cpus, cpusOffLine } } });
    for (const command of commands.filter(({ id }) => id === 'cpu-off' || id === 'cpu-on'))
      if (command.disabled(store.getState()) === null) command.perform();
    return done;
  };
  it('go from the last on and come back from the first on, but for CPU 0', () => {
    expect(at(1, [])).toEqual([]);
    expect(at(3, [])).toEqual(['press "cpu2-off"']);
    expect(at(3, [2])).toEqual(['press "cpu1-off"', 'press "cpu2-on"']);
    expect(at(3, [1, 2])).toEqual(['press "cpu1-on"']);
    expect(at(4, [1])).toEqual(['press "cpu3-off"', 'press "cpu1-on"']);
  });
});

describe('keys', () => {
  it('mean their command, with and without Caps Lock', () => {
    const { press } = setup();
    expect(press('r')).toBe('run');
    expect(press('R')).toBe('run');
    expect(press('R', { shiftKey: true })).toBe('reset');
    expect(press('?', { shiftKey: true })).toBe('keys');
    expect(press('+', { shiftKey: true })).toBe('faster');
    expect(press('F6')).toBe('next-panel');
    expect(press('F6', { shiftKey: true })).toBe('previous-panel');
  });
  it('with Ctrl or Cmd mean only commands that ask for it', () => {
    const { press } = setup();
    expect(press('k', { ctrlKey: true })).toBe('palette');
    expect(press('k', { metaKey: true })).toBe('palette');
    expect(press('k')).toBeUndefined();
    expect(press('r', { ctrlKey: true })).toBeUndefined();
    expect(press('r', { altKey: true })).toBeUndefined();
  });
  it('are each used once', () => {
    const { commands } = setup();
    const keys = commands.map((c) => c.key).filter((k) => k !== undefined);
    expect(new Set(keys).size).toBe(keys.length);
  });
  it('are written as the keyboard has them', () => {
    expect(keyLabel('Mod+k', false)).toBe('Ctrl K');
    expect(keyLabel('Mod+k', true)).toBe('⌘K');
    expect(keyLabel('Shift+R', false)).toBe('Shift R');
    expect(keyLabel('+', false)).toBe('+');
    expect(keyLabel('-', false)).toBe('−');
  });
});

describe('a command that cannot be done', () => {
  const why = (mode: MachineView['mode'] | null, id: string) => {
    const { store, commands } = setup();
    if (mode !== null) store.setState({ views: { machine: machine(mode) } });
    return commands.find((c) => c.id === id)!.disabled(store.getState());
  };
  it('says why', () => {
    expect(why(null, 'step-instruction')).toBe('The engine is starting.');
    expect(why('empty', 'run')).toBe('There is no domain yet.');
    expect(why('running', 'step-instruction')).toBe('Pause first.');
    expect(why('ended', 'run')).toBe('Every domain has ended.');
  });
  it('is enabled again when it can', () => {
    expect(why('paused', 'step-instruction')).toBeNull();
    expect(why('running', 'run')).toBeNull();
  });
});

describe('commands', () => {
  it('do what the lab calls them', () => {
    const { commands, done } = setup();
    const perform = (id: string) => commands.find((c) => c.id === id)!.perform();
    perform('run');
    perform('step-hypercall');
    perform('next-domain');
    expect(done).toEqual(['toggleRun', 'step "hypercall"', 'selectNeighbour 1']);
  });
  it('go through the speeds and stop at the ends', () => {
    const { store, commands, done } = setup();
    commands.find((c) => c.id === 'faster')!.perform();
    store.setState({ speed: 0 });
    commands.find((c) => c.id === 'faster')!.perform();
    expect(done.filter((d) => d.startsWith('setSpeed'))).toEqual(['setSpeed 0', 'setSpeed 0']);
    expect([speedLabel(1), speedLabel(0), speedLabel(0.0001)]).toEqual([
      'real time',
      'unlimited',
      '1/10 000',
    ]);
  });
  it('boot each demo of the gallery', () => {
    const { store, actions } = setup();
    const demo = { id: 'hello', title: 'Hello', story: '', watch: [], domains: [] };
    expect(demoCommands(store.getState(), actions)).toEqual([]);
    store.setState({ gallery: { state: 'ready', demos: [demo] } });
    expect(demoCommands(store.getState(), actions).map((c) => c.label)).toEqual(['Boot Hello']);
  });
});

describe('the palette', () => {
  it('opens by its command', () => {
    const { store, commands } = setup();
    const listener = vi.fn();
    store.subscribe(listener);
    commands.find((c) => c.id === 'palette')!.perform();
    expect(store.getState().dialog).toBe('palette');
    expect(listener).toHaveBeenCalledOnce();
  });
});

describe('files', () => {
  it('a lab can be saved, a suspended domain can go on', () => {
    const { store, done, commands, press } = setup();
    const command = (id: string) => commands.find((c) => c.id === id)!;
    expect(command('save').disabled(store.getState())).toBe('The engine is starting.');
    store.setState({
      views: {
        machine: machine('ended'),
        domains: { view: 'domains', domains: [domain(1, 'powered off'), domain(2, null)] },
      },
    });
    expect(command('save').disabled(store.getState())).toBeNull();
    expect(press('s', { ctrlKey: true })).toBe('save');
    expect(command('restore').disabled(store.getState())).toBe('No domain has suspended itself.');
    const domains = [domain(1, 'suspended'), domain(2, 'suspended'), domain(3, null)];
    store.setState({ views: { domains: { view: 'domains', domains } }, selection: { domid: 1, vcpu: 0 } });
    command('restore').perform();
    store.setState({ selection: { domid: 3, vcpu: 0 } });
    command('restore').perform();
    command('save').perform();
    expect(done).toEqual(['restore 1', 'restore 2', 'saveLab']);
  });
});
