/** Who is in which ring at this instant: Xen in the middle, kernels in ring 1, programs in ring 3. */
import { useMemo } from 'react';
import { useLab } from '../../../store/lab.ts';
import { domainHue, domainLetter } from '../../../store/selection.ts';
import type { DomainSummary } from '../../../worker/protocol.ts';
import css from './panel.module.css';

const SIZE = 176;
const CENTRE = SIZE / 2;
const RADIUS: Record<number, number> = { 0: 22, 1: 47, 2: 60, 3: 73 };
const NONE: readonly DomainSummary[] = [];

interface Dot {
  key: string;
  x: number;
  y: number;
  /** Where the needle leaves Xen's circle. */
  fromX: number;
  fromY: number;
  hue: number;
  letter: string;
  running: boolean;
  words: string;
}

/** One dot per vcpu that is up, spread evenly; the angle belongs to the vcpu, the radius is its ring. */
function dotsOf(domains: readonly DomainSummary[]): Dot[] {
  const up = domains.flatMap((domain) =>
    domain.state === 'running' || domain.state === 'paused'
      ? domain.vcpus.filter((v) => v.runstate !== 'offline').map((vcpu) => ({ domain, vcpu }))
      : [],
  );
  return up.map(({ domain, vcpu }, i) => {
    const angle = (i / Math.max(1, up.length)) * 2 * Math.PI;
    const radius = RADIUS[vcpu.ring] ?? RADIUS[1]!;
    return {
      key: `${domain.domid}.${vcpu.vcpu}`,
      x: CENTRE + radius * Math.sin(angle),
      y: CENTRE - radius * Math.cos(angle),
      fromX: CENTRE + RADIUS[0]! * Math.sin(angle),
      fromY: CENTRE - RADIUS[0]! * Math.cos(angle),
      hue: domainHue(domain.domid),
      letter: domainLetter(domain.domid),
      running: vcpu.runstate === 'running',
      words: `d${domain.domid} v${vcpu.vcpu} ${vcpu.runstate}, ring ${vcpu.ring}`,
    };
  });
}

export function RingFigure() {
  const domains = useLab((s) => s.views.domains?.domains ?? NONE);
  const dots = useMemo(() => dotsOf(domains), [domains]);
  const running = dots.filter((dot) => dot.running);
  const label = dots.length === 0 ? 'No vcpu is up.' : dots.map((dot) => dot.words).join('; ');
  return (
    <div className={css['ring']}>
      <div className={css['ringhead']}>
        <span className="bold">Rings</span>
        <span className="second">radius is privilege</span>
      </div>
      <svg viewBox={`0 0 ${SIZE} ${SIZE}`} role="img" aria-label={label}>
        <g fill="none" stroke="var(--rule-strong)">
          <circle cx={CENTRE} cy={CENTRE} r={RADIUS[0]} />
          <circle cx={CENTRE} cy={CENTRE} r={RADIUS[1]} />
          <circle cx={CENTRE} cy={CENTRE} r={RADIUS[3]} />
        </g>
        <circle cx={CENTRE} cy={CENTRE} r={RADIUS[0]! - 3} fill="var(--ink)" />
        <text
          x={CENTRE}
          y={CENTRE + 4}
          textAnchor="middle"
          fontSize="12"
          fontWeight="600"
          fill="var(--paper)"
        >
          Xen
        </text>
        {[1, 3].map((ring) => (
          <text
            key={ring}
            x={CENTRE + RADIUS[ring]! * Math.SQRT1_2 + 7}
            y={CENTRE + RADIUS[ring]! * Math.SQRT1_2 + 10}
            fontSize="12"
            fontFamily="var(--mono)"
            fill="var(--ink-3)"
            textAnchor="middle"
          >
            {ring}
          </text>
        ))}
        {running.map((dot) => (
          <path
            key={dot.key}
            d={`M${dot.fromX} ${dot.fromY}L${dot.x} ${dot.y}`}
            stroke="var(--now)"
            strokeWidth="1.5"
            className="moves"
          />
        ))}
        {dots.map((dot) => (
          <g key={dot.key} transform={`translate(${dot.x} ${dot.y})`}>
            <rect
              x="-8"
              y="-8"
              width="16"
              height="16"
              fill={`var(--d${dot.hue})`}
              stroke={dot.running ? 'var(--now)' : 'var(--paper)'}
              strokeWidth="2"
            />
            <text
              y="4"
              textAnchor="middle"
              fontSize="12"
              fontWeight="600"
              fontFamily="var(--mono)"
              fill={`var(--d${dot.hue}-text)`}
            >
              {dot.letter}
            </text>
          </g>
        ))}
      </svg>
      <div className="small cut">
        {running.length === 0 ? (
          <span className="second">{dots.length === 0 ? 'no vcpu is up' : 'no vcpu is running'}</span>
        ) : running.length === 1 ? (
          running[0]!.words
        ) : (
          `${running.length} vcpus running`
        )}
      </div>
    </div>
  );
}
