/** What the user can do: the verbs of the lab, over the store and the worker. One object, made once. */
import type { Remote } from 'comlink';
import type { Result, UserError } from '../base/result.ts';
import { LabClient, transferring, WorkerGone } from '../worker/client.ts';
import type {
  ConsoleChunk,
  DomainRequest,
  LabApi,
  MachineSettings,
  MachineView,
  PressKind,
  Snapshot,
  StepKind,
} from '../worker/protocol.ts';
import { consoleKey, hasRing } from './consoles.ts';
import { type Demo, demoDomainName, fetchGallery, fetchImage } from './gallery.ts';
import { consoles, INITIAL_WINDOW, type LabState, type LabStore, type Screen } from './lab-store.ts';
import { storeLayout } from './layout.ts';
import { fitOf } from './machine-fit.ts';
import { neighbour, validSelection } from './selection.ts';
import { keepWanted, mergeViews, type Shown, wantedViews } from './views.ts';

/** Consoles of former machines that are kept. */
const FORMER_KEPT = 12;

export class LabActions {
  readonly #store: LabStore;
  readonly #client: LabClient;
  #subscribed = '';
  /** Steps follow one another: each waits for the one before it. */
  #queue: Promise<void> = Promise.resolve();

  constructor(store: LabStore, createWorker: () => Worker) {
    this.#store = store;
    this.#client = new LabClient(createWorker, {
      snapshot: (snapshot) => this.#take(snapshot),
      console: (chunk) => this.#printed(chunk),
      ready: () => void this.#begin(),
      died: (reason) => this.#lost(reason),
    });
    store.subscribe((state, before) => {
      if (!sameShown(shownOf(state), shownOf(before))) this.#subscribe();
      if (state.layout !== before.layout) storeLayout(globalThis.localStorage, state.layout);
    });
  }

  start(): void {
    this.#client.start();
    void fetchGallery().then((gallery) => this.#store.setState({ gallery }));
  }

  /** Console key of a domain of the present machine. */
  key(domid: number): string {
    return consoleKey(this.#store.getState().generation, domid);
  }

  async #printed({ domid, bytes, emergency }: ConsoleChunk): Promise<void> {
    const key = this.key(domid);
    if (emergency && hasRing(key) && !this.#store.getState().emergencyConsoles.includes(key)) {
      this.#store.setState(({ emergencyConsoles }) => ({ emergencyConsoles: [...emergencyConsoles, key] }));
    }
    await consoles.write(key, bytes, emergency);
  }

  // ---------------------------------------------------------------- machine

  run(): Promise<void> {
    const { views } = this.#store.getState();
    this.#store.setState({ baseline: { since: 'stop', views }, notice: null });
    return this.#send((api) => api.run());
  }

  pause(): Promise<void> {
    return this.#send((api) => api.pause());
  }

  toggleRun(): Promise<void> {
    const mode = this.#store.getState().views.machine?.mode;
    return mode === 'running' || mode === 'idle' ? this.pause() : this.run();
  }

  step(kind: StepKind): Promise<void> {
    const next = this.#queue.then(async () => {
      this.#store.setState((s) => ({ baseline: { since: 'step', views: s.views }, notice: null }));
      await this.#send((api) => api.step(kind));
    });
    this.#queue = next.catch(() => {});
    return next;
  }

  setSpeed(speed: number): Promise<void> {
    this.#store.setState({ speed });
    return this.#send((api) => api.setSpeed(speed));
  }

  /** A new, empty machine, with this much of what it is made of; the rest is as it was chosen last. */
  async reset(chosen: { memoryMiB?: number; cpus?: number } = {}): Promise<void> {
    this.#store.setState(chosen);
    await this.#freshMachine(this.#store.getState().cpus);
    this.say('The machine is new and empty.');
  }

  /** What the domains of the one before printed is kept. */
  async #freshMachine(cpus: number): Promise<void> {
    this.#keepConsoles();
    this.#newGeneration();
    await this.#send((api) => api.reset({ ...this.#settings(), cpus }));
  }

  /** The user's part of the demo, done by the lab. */
  async play(): Promise<void> {
    const { started } = this.#store.getState();
    const domid = started?.domids[0];
    if (started == null || domid === undefined) return;
    const { input = [], presses = [] } = started.demo;
    this.#store.setState({ started: { ...started, played: true } });
    await this.#send((api) => api.play({ domid, lines: input, presses }));
    this.say('The lab types and presses.');
    await this.run();
  }

  async destroy(domid: number): Promise<void> {
    await this.#send((api) => api.destroy(domid));
  }

  input(domid: number, bytes: Uint8Array): void {
    void this.#send((api) => api.input(domid, bytes));
  }

  press(press: PressKind, domid: number): void {
    void this.#send((api) => api.press(press, domid));
  }

  // ---------------------------------------------------------------- booting

  /** Demos that are being booted: their domains come one by one. */
  booting = 0;

  /** @param mayReplace the machine may go, whoever lives on it. */
  async bootDemo(demo: Demo, mayReplace = false): Promise<void> {
    this.booting++;
    try {
      await this.#bootDemo(demo, mayReplace);
    } finally {
      this.booting--;
    }
  }

  async #bootDemo(demo: Demo, mayReplace: boolean): Promise<void> {
    const { machine, domains } = this.#store.getState().views;
    const fit = fitOf(demo, machine, domains?.domains ?? []);
    if (fit.kind === 'asks' && !mayReplace) {
      this.#store.setState({ dialog: 'fresh', asked: { demo, why: fit.why } });
      return;
    }
    const requests: DomainRequest[] = [];
    for (const [index, domain] of demo.domains.entries()) {
      const image = await this.#fetch(demo.title, domain.image);
      if (image === null) return;
      const ramdisk = domain.ramdisk ? await this.#fetch(demo.title, domain.ramdisk) : undefined;
      if (ramdisk === null) return;
      requests.push({
        name: demoDomainName(demo, index),
        image,
        ...(ramdisk ? { ramdisk } : {}),
        commandLine: domain.cmdline ?? '',
        memoryMiB: domain.memoryMiB ?? 32,
        vcpus: domain.vcpus ?? 1,
        abi: domain.abi ?? 'auto',
        xen: domain.xen ?? 'auto',
        privileged: domain.privileged ?? false,
      });
    }
    const runs = machine === undefined || fit.kind !== 'joins' || stands(machine.mode);
    if (fit.kind !== 'joins') await this.#freshMachine(demo.cpus ?? this.#store.getState().cpus);
    const domids: number[] = [];
    for (const request of requests) {
      const booted = await this.#build(request);
      if (!booted.ok) return;
      domids.push(booted.value.domid);
    }
    this.#store.setState({ started: { demo, domids, played: false } });
    // Its user's part is the first domain's.
    if (domids.length > 1) this.select(domids[0]!);
    if (runs) await this.run();
  }

  /** A kernel of the user's; `cpus` other than the machine's: on a new one. */
  async boot(request: DomainRequest, cpus?: number): Promise<Result<{ domid: number }>> {
    const { machine } = this.#store.getState().views;
    const fresh = cpus !== undefined && cpus !== machine?.cpus;
    if (fresh) await this.reset({ cpus });
    const booted = await this.#build(request);
    if (booted.ok && (fresh || stands(machine?.mode))) await this.run();
    return booted;
  }

  async #build(request: DomainRequest): Promise<Result<{ domid: number }>> {
    this.#store.setState({
      progress: { title: request.name, detail: 'building the domain', fraction: null },
      error: null,
    });
    try {
      const booted = await this.#client.call<Result<{ domid: number }>>(async (api) =>
        api.boot(transferring(request, request.image, request.ramdisk)),
      );
      if (!booted.ok) {
        this.fail(`${request.name} was not booted`, booted.error);
        return booted;
      }
      this.#store.setState({
        selection: { domid: booted.value.domid, vcpu: 0 },
        window: INITIAL_WINDOW,
        screen: 'lab',
        dialog: 'none',
        shownFormer: null,
      });
      this.say(`${request.name} is domain ${booted.value.domid}.`);
      return booted;
    } catch (error) {
      const failure = { code: 'worker-gone', message: messageOf(error) };
      this.fail(`${request.name} was not booted`, failure);
      return { ok: false, error: failure };
    } finally {
      this.#store.setState({ progress: null });
    }
  }

  /** A saved lab replaces the machine; a domain's file becomes one more domain. */
  async openSaved(file: File): Promise<void> {
    const title = `${file.name} was not opened`;
    const mode = this.#store.getState().views.machine?.mode;
    try {
      const bytes = new Uint8Array(await file.arrayBuffer());
      const opened = await this.#client.call<Opened>(async (api) => api.open(transferring(bytes, bytes)));
      if (!opened.ok) return this.fail(title, opened.error);
      const { kind, domids } = opened.value;
      if (kind === 'lab') {
        this.#keepConsoles();
        this.#newGeneration();
      }
      const domid = domids[0] ?? null;
      this.#store.setState({ selection: { domid, vcpu: 0 }, screen: 'lab', dialog: 'none', error: null });
      this.say(
        kind === 'lab' ? `${file.name} is open, paused as it was saved.` : `${file.name} is domain ${domid}.`,
      );
      // What was sent of the new machine went with the views of the old one: all is asked for again.
      await this.#send((api) => api.subscribe({}));
      this.#subscribed = '';
      this.#subscribe();
      if (kind === 'domain' && stands(mode)) await this.run();
    } catch (error) {
      this.fail(title, { code: 'worker-gone', message: messageOf(error) });
    }
  }

  /** The lab as a file of the user's. */
  async saveLab(): Promise<void> {
    const saved = await this.#send<Saved>(async (api) => api.save());
    if (saved === undefined) return;
    if (!saved.ok) return this.fail('The lab was not saved', saved.error);
    download('lab.ringside', saved.value);
    this.say('The lab is saved as lab.ringside.');
  }

  /** A domain that suspended itself goes on, as another domain on other frames. */
  async restore(domid: number): Promise<void> {
    const mode = this.#store.getState().views.machine?.mode;
    const restored = await this.#send<Result<{ domid: number }>>(async (api) => api.restore(domid));
    if (restored === undefined) return;
    if (!restored.ok) return this.fail('The domain does not go on', restored.error);
    this.select(restored.value.domid);
    this.say(`The domain goes on as domain ${restored.value.domid}.`);
    if (stands(mode)) await this.run();
  }

  async #fetch(title: string, path: string): Promise<Uint8Array | null> {
    const fetched = await fetchImage(path, (received, total) =>
      this.#store.setState({
        progress: {
          title,
          detail: `fetching ${path}, ${Math.round(received / 1024)} KiB`,
          fraction: total > 0 ? received / total : null,
        },
      }),
    );
    if (fetched.ok) return fetched.value;
    this.#store.setState({ progress: null });
    this.fail(`${title} was not booted`, fetched.error);
    return null;
  }

  // ---------------------------------------------------------------- face

  /** The lab with the trace of one hypercall, of all domains; null: of all hypercalls. */
  traceCall(traceCall: LabState['traceCall']): void {
    // The rows of the call before are not those of this one.
    const { called: _, ...views } = this.#store.getState().views;
    this.#store.setState({ traceCall, views });
    if (traceCall === null) return;
    this.#store.setState({ traceAll: true, hypercallTab: 'trace', screen: 'lab' });
    this.say(`The trace shows ${traceCall.name} only.`);
  }

  show(screen: Screen): void {
    this.#store.setState({ screen });
  }

  select(domid: number, vcpu = 0): void {
    this.#store.setState((s) => ({
      selection: { domid, vcpu },
      shownFormer: null,
      window: s.selection.domid === domid && s.selection.vcpu === vcpu ? s.window : INITIAL_WINDOW,
      views: s.selection.domid === domid && s.selection.vcpu === vcpu ? s.views : dropPerDomain(s.views),
      baseline: null,
    }));
  }

  selectNeighbour(by: number): void {
    const { selection, views } = this.#store.getState();
    const next = neighbour(selection, views.domains?.domains ?? [], by);
    if (next.domid !== null) this.select(next.domid, next.vcpu);
  }

  toggleTheme(): void {
    this.#store.setState((s) => ({
      layout: { ...s.layout, theme: s.layout.theme === 'dark' ? 'light' : 'dark' },
    }));
  }

  toggleProjector(): void {
    this.#store.setState((s) => ({ layout: { ...s.layout, projector: !s.layout.projector } }));
  }

  walk(va: number | null): void {
    this.#store.setState((s) => ({ window: { ...s.window, walk: va } }));
  }

  toggleEntry(path: string): void {
    this.#store.setState((s) => ({
      window: {
        ...s.window,
        opened: s.window.opened.includes(path)
          ? s.window.opened.filter((p) => p !== path && !p.startsWith(`${path}.`))
          : [...s.window.opened, path],
      },
    }));
  }

  showRows(from: number, count: number): void {
    this.#store.setState((s) =>
      s.window.from === from && s.window.count === count ? s : { window: { ...s.window, from, count } },
    );
  }

  /** Dropped or chosen: what was saved is opened at once, a kernel is asked about first. */
  async openFiles(list: readonly File[]): Promise<void> {
    const [kernel = null, ramdisk = null] = list;
    if (kernel !== null && (await wasSaved(kernel))) return this.openSaved(kernel);
    this.#store.setState({ files: { kernel, ramdisk }, dialog: 'open', error: null });
  }

  say(announcement: string): void {
    this.#store.setState({ announcement });
  }

  fail(title: string, error: UserError): void {
    this.#store.setState({ error: { title, ...error }, announcement: `${title}. ${error.message}` });
  }

  // ---------------------------------------------------------------- worker

  #settings(): MachineSettings {
    const { memoryMiB, cpus } = this.#store.getState();
    return { memoryMiB, cpus, seed: 1, wallClockSeconds: Math.floor(Date.now() / 1000) };
  }

  async #begin(): Promise<void> {
    await this.#send((api) => api.reset(this.#settings()));
    const { speed } = this.#store.getState();
    await this.#send((api) => api.setSpeed(speed));
    this.#subscribed = '';
    this.#subscribe();
    this.#store.setState({ connection: 'ready' });
  }

  #take(snapshot: Snapshot): void {
    this.#store.setState((s) => {
      const merged = mergeViews(s.views, snapshot.views);
      const selection = validSelection(s.selection, merged.domains?.domains ?? []);
      const moved = selection.domid !== s.selection.domid || selection.vcpu !== s.selection.vcpu;
      const state = moved ? { ...s, selection } : s;
      const views = keepWanted(merged, wantedViews(shownOf(state)));
      return moved ? { views, selection, window: INITIAL_WINDOW } : { views };
    });
  }

  #subscribe(): void {
    const wanted = wantedViews(shownOf(this.#store.getState()));
    const text = JSON.stringify(wanted);
    if (text === this.#subscribed) return;
    this.#subscribed = text;
    void this.#send((api) => api.subscribe(wanted));
  }

  #newGeneration(): void {
    this.#store.setState((s) => ({
      generation: s.generation + 1,
      views: {},
      baseline: null,
      selection: { domid: null, vcpu: 0 },
      window: INITIAL_WINDOW,
      shownFormer: null,
      started: null,
      traceRow: null,
    }));
  }

  /** The consoles of a machine that goes can still be read, the newest of them. */
  #keepConsoles(): void {
    const { views, generation, former } = this.#store.getState();
    const going = (views.domains?.domains ?? []).map((d) => ({
      key: consoleKey(generation, d.domid),
      name: `d${d.domid} ${d.name}`,
    }));
    const kept = [...former, ...going].slice(-FORMER_KEPT);
    consoles.forget((key) => kept.some((f) => f.key === key));
    this.#store.setState(({ emergencyConsoles }) => ({
      former: kept,
      emergencyConsoles: emergencyConsoles.filter((key) => kept.some((f) => f.key === key)),
    }));
  }

  #lost(reason: string): void {
    const { generation, selection } = this.#store.getState();
    this.#keepConsoles();
    this.#newGeneration();
    this.#store.setState({
      connection: 'restarting',
      shownFormer: selection.domid === null ? null : consoleKey(generation, selection.domid),
      notice: `The engine stopped: ${reason}. It was started again with an empty machine; what the guests printed is kept.`,
      announcement: 'The engine stopped and was started again. The text of the consoles is kept.',
      progress: null,
    });
  }

  async #send<T>(command: (api: Remote<LabApi>) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.#client.call(command);
    } catch (error) {
      // A worker that died is told about in #lost; anything else is a failure of the lab itself.
      if (!(error instanceof WorkerGone)) {
        this.fail('The engine refused a command', { code: 'engine', message: messageOf(error) });
      }
      return undefined;
    }
  }
}

type Saved = Result<Uint8Array>;
type Opened = Awaited<ReturnType<LabApi['open']>>;

/** Does a file begin as all that the lab saves? Everything else about it is the engine's to say. */
async function wasSaved(file: File): Promise<boolean> {
  return (await file.slice(0, 8).text()) === 'RINGSIDE';
}

function download(name: string, bytes: Uint8Array): void {
  const url = URL.createObjectURL(new Blob([bytes.slice()], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken hold of it by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Does the machine stand still for want of anybody who could run? */
const stands = (mode: MachineView['mode'] | undefined): boolean =>
  mode === undefined || mode === 'empty' || mode === 'ended';

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function dropPerDomain(views: LabState['views']): LabState['views'] {
  const { registers: _r, pageTables: _p, ports: _o, ...rest } = views;
  return rest;
}

/** The part of the state that decides subscriptions. */
const shownOf = (s: LabState): Shown => ({
  screen: s.screen,
  domid: s.selection.domid,
  vcpu: s.selection.vcpu,
  window: s.window,
  hypercallTab: s.hypercallTab,
  traceAll: s.traceAll,
  traceCall: s.traceCall,
  historyNs: s.historyNs,
});
const sameShown = (a: Shown, b: Shown): boolean =>
  (Object.keys(a) as (keyof Shown)[]).every((key) => a[key] === b[key]);
