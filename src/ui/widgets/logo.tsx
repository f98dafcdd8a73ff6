/** Concentric rings with a needle at the instant. */
export function Logo({ size = 26 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 26 26" fill="none" stroke="currentColor" aria-hidden="true">
      <circle cx="13" cy="13" r="12" strokeWidth="1.5" />
      <circle cx="13" cy="13" r="7.5" strokeWidth="1.5" />
      <circle cx="13" cy="13" r="3" fill="currentColor" stroke="none" />
      <circle cx="13" cy="5.5" r="2.4" style={{ fill: 'var(--now)' }} stroke="none" />
    </svg>
  );
}
