/** Speeds on offer: virtual seconds per wall second at most; 0 is as fast as possible. */
export const SPEEDS = [0.0001, 0.001, 0.01, 0.1, 1, 0] as const;
