/**
 * The control domain's work, built in: builds domains, answers their xenstore rings, carries their consoles, and
 * clears up behind them. Its side of an event channel is the hook toolstackEvent, called in the middle of the
 * guest's own send; what it does then is part of that instant.
 */
import { invariant } from '../../base/assert.ts';
import { VIRQ_CONSOLE } from '../abi/constants.ts';
import type { Domain } from '../domain.ts';
import { destroyDomain, unpauseDomain } from '../domain-lifecycle.ts';
import { domainMemory } from '../domain-memory.ts';
import { notifyGuest, sendGlobalVirq } from '../evtchn.ts';
import type { Hypervisor, HypervisorHooks } from '../hypervisor.ts';
import { becomesWritable } from '../page-types.ts';
import { type BuildRequest, buildDomain } from './build-domain.ts';
import { ConsoleDaemon, type ConsoleMemory } from './console-daemon.ts';
import type { ImageResult } from './image-error.ts';
import { addDomainNodes, prepareStore, removeDomainNodes } from './store-nodes.ts';
import { readSymbols, type SymbolRow, type Symbols, symbolTable } from './symbols.ts';
import { type StoreMemory, type Transaction, type Watch, Xenstore } from './xenstore.ts';
import { type RingMemory, XenstoreRing } from './xenstore-ring.ts';

/** What a domain prints; `emergency`: by console_io. */
export type ConsoleSink = (domid: number, bytes: Uint8Array, emergency: boolean) => void;

interface Served {
  domain: Domain;
  symbols: Symbols;
  /** null for the initial domain, which has no rings. */
  console: ConsoleDaemon | null;
  store: XenstoreRing | null;
  /** Typed for console_io's read. */
  emergencyInput: number[];
}

export interface ServedMemory {
  domid: number;
  symbols: readonly SymbolRow[];
  console: ConsoleMemory | null;
  store: RingMemory | null;
  watches: readonly Watch[];
  transactions: ReadonlyMap<number, Transaction>;
  emergencyInput: readonly number[];
}
export interface ToolstackMemory {
  store: StoreMemory;
  domains: ServedMemory[];
}

export class Toolstack {
  readonly store = new Xenstore();
  readonly hooks: HypervisorHooks;
  readonly #print: ConsoleSink;
  readonly #served = new Map<number, Served>();
  #hv: Hypervisor | null = null;

  constructor(print: ConsoleSink) {
    this.#print = print;
    this.hooks = {
      consoleIo: (domain, bytes) => print(domain.id, bytes, true),
      consoleRead: (domain, max) => {
        const typed = this.#served.get(domain.id)?.emergencyInput;
        return Uint8Array.from(typed ? typed.splice(0, max) : []);
      },
      serialOut: (byte) => print(0, Uint8Array.of(byte), false),
      toolstackEvent: (domain, port) => this.#event(domain, port),
      domainEnded: (domain) => this.#ended(domain),
    };
    prepareStore(this.store);
  }

  attach(hv: Hypervisor): void {
    this.#hv = hv;
  }

  get #hypervisor(): Hypervisor {
    invariant(this.#hv, 'the toolstack has no hypervisor yet');
    return this.#hv;
  }

  /** Builds a domain and lets it run. */
  start(request: BuildRequest): ImageResult<Domain> {
    const hv = this.#hypervisor;
    const built = buildDomain(hv, request);
    if (!built.ok) return built;
    const { domain, image } = built.value;
    this.adopt(domain, readSymbols(image.elf));
    return { ok: true, value: domain };
  }

  /** Serves a domain that is built and still paused, and lets it run. */
  adopt(domain: Domain, symbols: Symbols): void {
    addDomainNodes(this.store, domain);
    this.#serve(domain, symbols);
    this.store.introduce(domain.id);
    this.#deliverWatchEvents();
    unpauseDomain(this.#hypervisor, domain);
  }

  #serve(domain: Domain, symbols: Symbols): Served {
    const { memory } = this.#hypervisor;
    const rings = !domain.privileged;
    const served: Served = {
      domain,
      symbols,
      console: rings
        ? new ConsoleDaemon(memory, domain.consoleMfn * 4096, (bytes) => this.#print(domain.id, bytes, false))
        : null,
      store: rings ? new XenstoreRing(memory, domain.storeMfn * 4096, this.store, domain.id) : null,
      emergencyInput: [],
    };
    this.#served.set(domain.id, served);
    return served;
  }

  /** Ends what is left of a domain and frees all it had. */
  destroy(domid: number): void {
    const domain = this.#hypervisor.domains[domid];
    if (!domain) return;
    destroyDomain(this.#hypervisor, domain, domainMemory);
    this.#served.delete(domid);
    removeDomainNodes(this.store, domain);
    this.#deliverWatchEvents();
  }

  /**
   * Typed into a domain's console: its ring; for the initial domain the UART, if it listens there, else the emergency
   * console.
   */
  input(domid: number, bytes: Uint8Array): void {
    const served = this.#served.get(domid);
    if (!served || served.domain.end) return;
    if (served.console) {
      if (this.#console(served)?.input(bytes)) this.#notifyConsole(served);
    } else if (this.#hypervisor.devices.uart.listening) {
      this.#hypervisor.devices.uart.type(this.#hypervisor, bytes);
    } else {
      served.emergencyInput.push(...bytes);
      sendGlobalVirq(this.#hypervisor, served.domain, VIRQ_CONSOLE);
    }
  }

  /** Looks at all rings without being asked: for guests that write and never send. */
  poll(): void {
    for (const served of this.#served.values()) {
      if (served.domain.end) continue;
      if (this.#console(served)?.poll()) this.#notifyConsole(served);
      if (this.#store(served)?.serve()) this.#notifyStore(served);
    }
    this.#deliverWatchEvents();
  }

  symbolsOf(domid: number): Symbols | null {
    return this.#served.get(domid)?.symbols ?? null;
  }

  /** Has the domain taken in all that was typed? */
  inputEmpty(domid: number): boolean {
    const served = this.#served.get(domid);
    if (!served) return true;
    if (served.console) return served.console.inputEmpty;
    return served.emergencyInput.length === 0 && this.#hypervisor.devices.uart.inputEmpty;
  }

  /** What the daemons remember outside the guests' memory: for the state hash. */
  *remembered(): Generator<unknown> {
    for (const [domid, served] of this.#served) {
      yield [domid, served.console?.remembered, served.store?.remembered, served.emergencyInput];
    }
  }

  /** All that the toolstack knows, for saved labs. */
  get memory(): ToolstackMemory {
    const domains = [...this.#served.values()].map((served) => ({
      domid: served.domain.id,
      symbols: served.symbols.rows,
      console: served.console?.remembered ?? null,
      store: served.store?.remembered ?? null,
      watches: served.store?.connection.watches ?? [],
      transactions: served.store?.connection.transactions ?? new Map<number, Transaction>(),
      emergencyInput: served.emergencyInput,
    }));
    return { store: this.store.memory, domains };
  }
  /** The domains must be there. */
  set memory({ store, domains }: ToolstackMemory) {
    this.#served.clear();
    for (const saved of domains) {
      const domain = this.#hypervisor.domains[saved.domid];
      invariant(domain, `there is no domain ${saved.domid} to serve`);
      const served = this.#serve(domain, symbolTable(saved.symbols));
      if (saved.console) served.console?.remember(saved.console);
      if (saved.store) served.store?.remember(saved.store);
      served.store?.connection.watches.push(...saved.watches);
      for (const [id, transaction] of saved.transactions)
        served.store?.connection.transactions.set(id, transaction);
      served.emergencyInput.push(...saved.emergencyInput);
    }
    this.store.memory = store;
  }

  #event(domain: Domain, port: number): void {
    const served = this.#served.get(domain.id);
    if (!served) return;
    if (port === domain.consolePort && this.#console(served)?.event()) this.#notifyConsole(served);
    if (port === domain.storePort && this.#store(served)?.serve()) this.#notifyStore(served);
    this.#deliverWatchEvents();
  }

  #ended(domain: Domain): void {
    const served = this.#served.get(domain.id);
    if (!served) return;
    // Its last words: printed before it ended, perhaps not yet announced.
    this.#console(served)?.poll();
    served.store?.close();
    // Its nodes go with it, as with a control domain that clears up at once: nobody finds a dead peer. The domain
    // itself stays to be looked at until it is destroyed.
    removeDomainNodes(this.store, domain);
    this.store.release(domain.id);
    this.#deliverWatchEvents();
  }

  /** A request of one domain may be an event for others. */
  #deliverWatchEvents(): void {
    for (let again = true; again; ) {
      again = false;
      for (const served of this.#served.values()) {
        if (!served.store?.hasOutgoing || !this.#store(served)?.serve()) continue;
        this.#notifyStore(served);
        again = true;
      }
    }
  }

  // A guest may give its ring pages away or make page tables of them: a daemon reaches a page only while it could map
  // it writable.
  #console(served: Served): ConsoleDaemon | null {
    return this.#mappable(served.domain, served.domain.consoleMfn) ? served.console : null;
  }
  #store(served: Served): XenstoreRing | null {
    return this.#mappable(served.domain, served.domain.storeMfn) ? served.store : null;
  }
  #mappable(domain: Domain, mfn: number): boolean {
    const { frames } = this.#hypervisor;
    return frames.owner[mfn] === domain.id && becomesWritable(frames, mfn);
  }

  #notifyConsole(served: Served): void {
    notifyGuest(this.#hypervisor, served.domain, served.domain.consolePort);
  }
  #notifyStore(served: Served): void {
    notifyGuest(this.#hypervisor, served.domain, served.domain.storePort);
  }
}
