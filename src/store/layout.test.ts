import { describe, expect, it } from 'vitest';
import { storedLayout, storeLayout } from './layout.ts';

function storage(initial: Record<string, string> = {}): Storage {
  const map = new Map(Object.entries(initial));
  return {
    getItem: (key: string) => map.get(key) ?? null,
    setItem: (key: string, value: string) => void map.set(key, value),
  } as Storage;
}

describe('the remembered layout', () => {
  it('comes back as it was left', () => {
    const kept = storage();
    storeLayout(kept, { theme: 'dark', projector: true });
    expect(storedLayout(kept, false)).toEqual({ theme: 'dark', projector: true });
  });
  it('starts with what the system prefers', () => {
    expect(storedLayout(storage(), true).theme).toBe('dark');
    expect(storedLayout(undefined, false).theme).toBe('light');
  });
  it.each(['not json', '{"theme":"pink","projector":1}', '[]', 'null'])('survives %s', (text) => {
    expect(storedLayout(storage({ 'ringside.layout': text }), false)).toEqual({
      theme: 'light',
      projector: false,
    });
  });
});
