/**
 * A view of the lab as the hash of its address, and back:
 *
 *   #lab?demo=smp&at=1.2&walk=c0000000&open=3,3.0&processor=stack&hypercalls=counts&whose=one&call=32.4&wide&projector
 *
 * What is as it is at first is left out. Whatever cannot be read is taken as left out, so no link does harm. Pure.
 */
import { INITIAL_WINDOW, type LabState, type Screen } from './lab-store.ts';

/** What a link says about the view. */
export interface Link {
  screen: Screen;
  demo: string | null;
  at: { domid: number; vcpu: number } | null;
  walk: number | null;
  opened: string[];
  processorTab: LabState['processorTab'];
  hypercallTab: LabState['hypercallTab'];
  traceAll: boolean;
  call: { number: number; sub: number | null } | null;
  wideConsole: boolean;
  projector: boolean;
}

type Linked = Pick<
  LabState,
  | 'screen'
  | 'started'
  | 'selection'
  | 'window'
  | 'processorTab'
  | 'hypercallTab'
  | 'traceAll'
  | 'traceCall'
  | 'wideConsole'
  | 'layout'
>;

const SCREENS: readonly Screen[] = ['lab', 'gallery', 'reference'];
const PROCESSOR_TABS: readonly Link['processorTab'][] = ['code', 'stack', 'segments'];
const MOST_OPENED = 64;

const PLAIN: Link = {
  screen: 'gallery',
  demo: null,
  at: null,
  walk: null,
  opened: INITIAL_WINDOW.opened,
  processorTab: 'code',
  hypercallTab: 'trace',
  traceAll: true,
  call: null,
  wideConsole: false,
  projector: false,
};

export function linkOf(s: Linked): Link {
  const { domid, vcpu } = s.selection;
  return {
    screen: s.screen,
    demo: s.started?.demo.id ?? null,
    at: domid === null ? null : { domid, vcpu },
    walk: s.window.walk,
    opened: s.window.opened,
    processorTab: s.processorTab,
    hypercallTab: s.hypercallTab,
    traceAll: s.traceAll,
    call: s.traceCall === null ? null : { number: s.traceCall.number, sub: s.traceCall.sub },
    wideConsole: s.wideConsole,
    projector: s.layout.projector,
  };
}

/** '' for the gallery as it opens. */
export function hashOf(link: Link): string {
  const parts: string[] = [];
  if (link.screen !== 'gallery') {
    if (link.demo !== null) parts.push(`demo=${encodeURIComponent(link.demo)}`);
    if (link.at !== null) parts.push(`at=${link.at.domid}.${link.at.vcpu}`);
  }
  if (link.screen === 'lab') {
    if (link.walk !== null) parts.push(`walk=${link.walk.toString(16).padStart(8, '0')}`);
    if (link.opened.join() !== PLAIN.opened.join()) parts.push(`open=${link.opened.join(',')}`);
    if (link.processorTab !== PLAIN.processorTab) parts.push(`processor=${link.processorTab}`);
    if (link.hypercallTab !== PLAIN.hypercallTab) parts.push(`hypercalls=${link.hypercallTab}`);
    if (!link.traceAll) parts.push('whose=one');
    if (link.call !== null)
      parts.push(`call=${link.call.number}${link.call.sub === null ? '' : `.${link.call.sub}`}`);
    if (link.wideConsole) parts.push('wide');
  }
  if (link.projector) parts.push('projector');
  if (parts.length === 0) return link.screen === 'gallery' ? '' : `#${link.screen}`;
  return `#${link.screen}?${parts.join('&')}`;
}

export function parseHash(hash: string): Link {
  const [name = '', query = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  const said = new URLSearchParams(query);
  const screen = SCREENS.find((s) => s === name) ?? PLAIN.screen;
  const at = numbers(said.get('at'), /^(\d{1,5})\.(\d{1,2})$/);
  const call = numbers(said.get('call'), /^(\d{1,2})(?:\.(\d{1,9}))?$/);
  return {
    screen,
    demo: /^[\w-]{1,64}$/.exec(said.get('demo') ?? '')?.[0] ?? null,
    at: at === null ? null : { domid: at[0]!, vcpu: at[1]! },
    walk: addressOf(said.get('walk')),
    opened: openedOf(said.get('open')),
    processorTab: PROCESSOR_TABS.find((tab) => tab === said.get('processor')) ?? PLAIN.processorTab,
    hypercallTab: said.get('hypercalls') === 'counts' ? 'counts' : 'trace',
    traceAll: said.get('whose') !== 'one',
    call: call === null ? null : { number: call[0]!, sub: call[1] ?? null },
    wideConsole: said.has('wide'),
    projector: said.has('projector'),
  };
}

function numbers(text: string | null, form: RegExp): (number | undefined)[] | null {
  const match = form.exec(text ?? '');
  return match === null ? null : match.slice(1).map((n) => (n === undefined ? undefined : Number(n)));
}

function addressOf(text: string | null): number | null {
  return text !== null && /^[0-9a-f]{1,8}$/i.test(text) ? Number.parseInt(text, 16) : null;
}

function openedOf(text: string | null): string[] {
  if (text === null) return PLAIN.opened;
  return text
    .split(',')
    .filter((path) => /^\d{1,4}(\.\d{1,4}){0,2}$/.test(path))
    .slice(0, MOST_OPENED);
}
