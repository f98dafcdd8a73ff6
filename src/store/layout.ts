/** How the lab looks on this screen: remembered between visits, never part of a run. */

export type Theme = 'light' | 'dark';
export interface Layout {
  theme: Theme;
  projector: boolean;
}

const STORED = 'ringside.layout';

export function storedLayout(storage: Storage | undefined, prefersDark: boolean): Layout {
  const fallback: Layout = { theme: prefersDark ? 'dark' : 'light', projector: false };
  try {
    const stored = JSON.parse(storage?.getItem(STORED) ?? 'null') as Partial<Layout> | null;
    if (stored === null) return fallback;
    return {
      theme: stored.theme === 'dark' || stored.theme === 'light' ? stored.theme : fallback.theme,
      projector: stored.projector === true,
    };
  } catch {
    return fallback;
  }
}

export function storeLayout(storage: Storage | undefined, layout: Layout): void {
  try {
    storage?.setItem(STORED, JSON.stringify(layout));
  } catch {
    // A browser that keeps nothing is fine: the look is chosen anew next time.
  }
}
