/**
 * Keeps the address of the page in step with what is shown: a link opens the same demo and view again, back and
 * forward go through screens, demos and domains. A demo that a link asks for never replaces domains that live unasked.
 */
import type { LabActions } from './actions.ts';
import { INITIAL_WINDOW, type LabStore } from './lab-store.ts';
import { hashOf, type Link, linkOf, parseHash } from './link.ts';

export class AddressBar {
  readonly #store: LabStore;
  readonly #actions: LabActions;
  /** The view is being made what the address says: nothing is written meanwhile. */
  #following = 0;
  #written: Link;

  constructor(store: LabStore, actions: LabActions) {
    this.#store = store;
    this.#actions = actions;
    this.#written = linkOf(store.getState());
  }

  start(): void {
    this.#store.subscribe(() => this.#write());
    addEventListener('popstate', () => void this.#follow());
    if (location.hash !== '') void this.#follow();
  }

  #write(): void {
    // A demo's address is written when all its domains are there.
    if (this.#following > 0 || this.#actions.booting > 0) return;
    const state = this.#store.getState();
    if (state.progress !== null || state.connection !== 'ready') return;
    const link = linkOf(state);
    const before = this.#written;
    this.#written = link;
    const hash = hashOf(link);
    if (hash === location.hash) return;
    const url = `${location.pathname}${location.search}${hash}`;
    const elsewhere =
      link.screen !== before.screen ||
      link.demo !== before.demo ||
      (before.at !== null && link.at !== null && before.at.domid !== link.at.domid);
    if (elsewhere) history.pushState(null, '', url);
    else history.replaceState(null, '', url);
  }

  async #follow(): Promise<void> {
    const link = parseHash(location.hash);
    this.#following++;
    try {
      this.#show(link);
      if (link.demo !== null && !(await this.#startDemo(link.demo))) return;
      // The demo's first domain was selected; the link knows better. One that is not there yields to one that is.
      if (link.at !== null) this.#actions.select(link.at.domid, link.at.vcpu);
      this.#show(link);
    } finally {
      this.#following--;
      this.#written = linkOf(this.#store.getState());
    }
  }

  /** @returns whether the demo is the one of this machine now. */
  async #startDemo(id: string): Promise<boolean> {
    if (this.#store.getState().started?.demo.id === id) return true;
    await this.#ready();
    const { gallery, views } = this.#store.getState();
    const demo = gallery.state === 'ready' ? gallery.demos.find((d) => d.id === id) : undefined;
    if (demo === undefined) {
      const message = `There is no demo '${id}' in the gallery.`;
      this.#actions.fail('The link was not followed', { code: 'no-such-demo', message });
      return false;
    }
    if (views.domains?.domains.some((domain) => domain.ending === null)) {
      this.#store.setState({ dialog: 'fresh', asked: { demo, why: 'The link asks for it.' } });
      return false;
    }
    await this.#actions.bootDemo(demo);
    return this.#store.getState().started?.demo.id === id;
  }

  /** The list of demos has come, or will not; the engine is up and has told of its machine. */
  #ready(): Promise<void> {
    const isReady = () => {
      const { gallery, connection, views } = this.#store.getState();
      return gallery.state !== 'loading' && connection === 'ready' && views.machine !== undefined;
    };
    if (isReady()) return Promise.resolve();
    return new Promise((resolve) => {
      const stop = this.#store.subscribe(() => {
        if (!isReady()) return;
        stop();
        resolve();
      });
    });
  }

  #show(link: Link): void {
    this.#store.setState((s) => ({
      screen: link.screen,
      processorTab: link.processorTab,
      hypercallTab: link.hypercallTab,
      traceAll: link.traceAll,
      traceCall: this.#callOf(link),
      wideConsole: link.wideConsole,
      window: { ...INITIAL_WINDOW, opened: link.opened, walk: link.walk },
      layout: s.layout.projector === link.projector ? s.layout : { ...s.layout, projector: link.projector },
    }));
  }

  #callOf({ call }: Link) {
    if (call === null) return null;
    const { traceCall } = this.#store.getState();
    if (traceCall?.number === call.number && traceCall.sub === call.sub) return traceCall;
    // Its name is known once the reference was shown; until then its number stands for it.
    return { ...call, name: `hypercall ${call.number}${call.sub === null ? '' : `, ${call.sub}`}` };
  }
}
