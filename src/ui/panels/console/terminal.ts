/**
 * One xterm on one console log. Bytes go to xterm, which knows no markup, with the two streams told apart; its write
 * callback is the flow control. What is typed goes to the domain as bytes.
 */
import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { type ITheme, Terminal } from '@xterm/xterm';
import type { ConsoleSink } from '../../../store/consoles.ts';
import { TwoStreams } from './two-streams.ts';

const SCROLLBACK_ROWS = 10_000;
/** Kernels that place the cursor count on this many columns. */
export const USUAL_COLUMNS = 80;

export interface TerminalOptions {
  fontSize: number;
  label: string;
  leastColumns: number;
  /** What comes by console_io is faint. */
  dimsEmergency: boolean;
  typed(bytes: Uint8Array): void;
  /** The guest has begun to place the cursor: it counts on USUAL_COLUMNS. */
  placesCursor(): void;
}

export class ConsoleTerminal implements ConsoleSink {
  readonly #terminal: Terminal;
  readonly #fit = new FitAddon();
  readonly #search = new SearchAddon();
  readonly #observer: ResizeObserver;
  readonly #leastColumns: number;
  readonly #streams: TwoStreams;
  /** Writers whose text xterm has not taken in yet. */
  readonly #writing = new Set<() => void>();
  #found: (result: { index: number; count: number }) => void = () => {};

  constructor(host: HTMLElement, options: TerminalOptions) {
    this.#leastColumns = options.leastColumns;
    this.#streams = new TwoStreams(options.dimsEmergency);
    this.#terminal = new Terminal({
      fontFamily: '"IBM Plex Mono", ui-monospace, Consolas, "DejaVu Sans Mono", monospace',
      fontSize: options.fontSize,
      lineHeight: 1.15,
      scrollback: SCROLLBACK_ROWS,
      // Kernels write bare line feeds; those that write both are not harmed.
      convertEol: true,
      screenReaderMode: true,
      allowProposedApi: true,
      theme: themeOf(host),
    });
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.loadAddon(this.#search);
    this.#terminal.loadAddon(new WebLinksAddon());
    this.#terminal.open(host);
    this.#terminal.textarea?.setAttribute('aria-label', options.label);
    this.#search.onDidChangeResults(({ resultIndex, resultCount }) =>
      this.#found({ index: resultIndex, count: resultCount }),
    );
    const encoder = new TextEncoder();
    this.#terminal.onData((text) => options.typed(encoder.encode(text)));
    this.#terminal.onBinary((text) => options.typed(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    this.#terminal.attachCustomKeyEventHandler((event) => this.#ours(event));
    for (const final of ['H', 'f', 'G', 'C']) {
      this.#terminal.parser.registerCsiHandler({ final }, () => {
        options.placesCursor();
        return false;
      });
    }
    this.#observer = new ResizeObserver(() => this.fit());
    this.#observer.observe(host);
    this.fit();
    // The font may arrive after the first measure.
    void document.fonts?.ready.then(() => this.fit());
  }

  write(bytes: Uint8Array, emergency: boolean): Promise<void> {
    const shown = this.#streams.show(bytes, emergency);
    return new Promise((resolve) => {
      const done = () => {
        this.#writing.delete(done);
        resolve();
      };
      this.#writing.add(done);
      this.#terminal.write(shown, done);
    });
  }

  /** As many rows and columns as there is room for, but no fewer columns than the guest counts on. */
  fit(): void {
    if (!this.#terminal.element?.offsetParent) return;
    const size = this.#fit.proposeDimensions();
    if (size === undefined || Number.isNaN(size.cols)) return;
    const columns = Math.max(size.cols, this.#leastColumns);
    if (columns !== this.#terminal.cols || size.rows !== this.#terminal.rows) {
      this.#terminal.resize(columns, size.rows);
    }
  }

  focus(): void {
    this.#terminal.focus();
  }

  paint(host: HTMLElement, fontSize: number): void {
    this.#terminal.options.theme = themeOf(host);
    this.#terminal.options.fontSize = fontSize;
    this.fit();
  }

  onFound(found: (result: { index: number; count: number }) => void): void {
    this.#found = found;
  }

  find(text: string, direction: 'next' | 'previous'): void {
    if (text === '') {
      this.#search.clearDecorations();
      return;
    }
    const style = getComputedStyle(this.#terminal.element!);
    const colour = style.getPropertyValue('--rule-strong').trim();
    const active = style.getPropertyValue('--ink-3').trim();
    const options = {
      decorations: {
        matchBackground: colour,
        activeMatchBackground: active,
        matchOverviewRuler: colour,
        activeMatchColorOverviewRuler: active,
      },
    };
    if (direction === 'next') this.#search.findNext(text, options);
    else this.#search.findPrevious(text, options);
  }

  /** The selected text, or all of it. */
  text(): string {
    if (this.#terminal.hasSelection()) return this.#terminal.getSelection();
    this.#terminal.selectAll();
    const all = this.#terminal.getSelection();
    this.#terminal.clearSelection();
    return all.replace(/\n+$/, '\n');
  }

  dispose(): void {
    this.#observer.disconnect();
    this.#terminal.dispose();
    // A terminal that is gone calls nobody back; the text is in the log.
    for (const done of [...this.#writing]) done();
  }

  /** False for keys that are not the guest's: copy and paste, and F6, which leaves the console. */
  #ours(event: KeyboardEvent): boolean {
    if (event.key === 'F6' || (event.metaKey && event.key.toLowerCase() === 'k')) return false;
    if (event.ctrlKey && event.shiftKey && event.key.toLowerCase() === 'v') return false;
    if (event.ctrlKey && event.shiftKey && event.key.toLowerCase() === 'c') {
      if (event.type === 'keydown') {
        event.preventDefault();
        void navigator.clipboard?.writeText(this.text());
      }
      return false;
    }
    return true;
  }
}

function themeOf(host: HTMLElement): ITheme {
  const style = getComputedStyle(host);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  return {
    background: colour('--well'),
    foreground: colour('--ink'),
    cursor: colour('--ink'),
    cursorAccent: colour('--paper'),
    selectionBackground: colour('--rule-strong'),
    black: '#1b2027',
    white: '#dddcd5',
    scrollbarSliderBackground: colour('--rule'),
    scrollbarSliderHoverBackground: colour('--rule-strong'),
    scrollbarSliderActiveBackground: colour('--rule-strong'),
  };
}
