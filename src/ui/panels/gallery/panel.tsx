/** The gallery: each guest's story and what to watch, one click to boot it; and the place to drop one's own. */
import { useRef } from 'react';
import type { Demo } from '../../../store/gallery.ts';
import { actions, labStore, useLab } from '../../../store/lab.ts';
import { CommandButton } from '../../widgets/command-button.tsx';
import { Logo } from '../../widgets/logo.tsx';
import css from './panel.module.css';
import { aboutDemo, byAge } from './words.ts';

export function GalleryScreen() {
  const gallery = useLab((s) => s.gallery);
  return (
    <main className={css['gallery']}>
      <Intro />
      <section className={css['cards']} aria-label="Guests" data-stop tabIndex={-1}>
        {gallery.state === 'loading' && <p className={css['plain']}>Reading the list of guests …</p>}
        {gallery.state === 'failed' && (
          <p className={css['plain']}>
            The list of guests could not be read: {gallery.reason}. A kernel of your own still boots: press
            Open or drop it here.
          </p>
        )}
        {gallery.state === 'ready' && <Cards demos={gallery.demos} />}
      </section>
    </main>
  );
}

/** The guests of today first; those of 2006 tell the same stories, so they take less room. */
function Cards({ demos }: { demos: readonly Demo[] }) {
  const { present, past } = byAge(demos);
  return (
    <>
      {present.map((demo, i) => (
        <Card key={demo.id} demo={demo} number={i + 1} />
      ))}
      {past.length > 0 && (
        <h2 className={css['heading']}>
          As of 2006 <span className="second">two-level tables and the calls of Xen 3.0.2</span>
        </h2>
      )}
      {past.map((demo, i) => (
        <Card key={demo.id} demo={demo} number={present.length + i + 1} compact />
      ))}
    </>
  );
}

function Card({ demo, number, compact = false }: { demo: Demo; number: number; compact?: boolean }) {
  const busy = useLab((s) => s.progress !== null);
  const ready = useLab((s) => s.connection === 'ready');
  return (
    <article className={css['card']} aria-label={demo.id}>
      <div className={css['top']}>
        <span className="mono third">{String(number).padStart(2, '0')}</span>
        <span className="mono second">{demo.id}</span>
      </div>
      <h3>{demo.title}</h3>
      <p className={css['story']}>{demo.story}</p>
      {!compact && (
        <ul>
          {demo.watch.map((item) => (
            <li key={item}>{item}</li>
          ))}
        </ul>
      )}
      <div className={css['foot']}>
        <span className="small second">{aboutDemo(demo)}</span>
        <button
          type="button"
          className="underlined"
          disabled={busy || !ready}
          aria-label={`Boot ${demo.id}`}
          onClick={() => void actions.bootDemo(demo)}
        >
          Boot
        </button>
      </div>
    </article>
  );
}

function Intro() {
  const input = useRef<HTMLInputElement>(null);
  const some = useLab((s) => (s.views.domains?.domains.length ?? 0) > 0);
  return (
    <div className={css['intro']}>
      <Logo size={96} />
      <h2>Watch a kernel that is not in charge.</h2>
      <p>
        A guest kernel runs in ring 1. A Xen-compatible hypervisor runs in ring 0 and checks each page table,
        event and trap. Every book is open.
      </p>
      {some && (
        <p className={css['continue']}>
          <CommandButton id="lab" className="underlined">
            Back to the lab
          </CommandButton>{' '}
          where guests are loaded.
        </p>
      )}
      <div className={css['drop']}>
        <h3 className="bold">Drop your own kernel here</h3>
        <p className="small second">
          A 32-bit Xen PV kernel (ELF, packed, or a bzImage), and a ramdisk if it needs one. Nothing leaves
          this browser.
        </p>
        <input
          ref={input}
          type="file"
          multiple
          className="unseen"
          tabIndex={-1}
          aria-label="Kernel and ramdisk files"
          onChange={(event) => {
            const files = [...(event.target.files ?? [])];
            event.target.value = '';
            if (files.length > 0) void actions.openFiles(files);
          }}
        />
        <button
          type="button"
          className="boxed"
          onClick={() => labStore.setState({ dialog: 'open', error: null })}
        >
          Open…
        </button>
      </div>
    </div>
  );
}
