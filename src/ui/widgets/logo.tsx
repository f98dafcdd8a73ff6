/** Concentric rings with a needle at the instant. */
export function Logo({ size = 26 }: { size?: number }) {
  const stroke = size > 40 ? 0.5 : 1.5;
  return (
    <svg width={size} height={size} viewBox="0 0 26 26" fill="none" stroke="currentColor" aria-hidden="true">
      <circle cx="13" cy="13" r="12" strokeWidth={stroke} />
      <circle cx="13" cy="13" r="7.5" strokeWidth={stroke} />
      <circle cx="13" cy="13" r="3" fill="currentColor" stroke="none" />
      {size > 40 && <path d="M13 13V1" stroke="var(--now)" strokeWidth="0.4" />}
      <circle cx="13" cy="5.5" r={size > 40 ? 1.2 : 2.4} style={{ fill: 'var(--now)' }} stroke="none" />
    </svg>
  );
}
