/** Which domain and vcpu every panel talks about. */
import type { DomainSummary } from '../worker/protocol.ts';

export interface Selection {
  domid: number | null;
  vcpu: number;
}

/** Keeps the selection while its domain exists, else moves to the newest domain. */
export function validSelection(selection: Selection, domains: readonly DomainSummary[]): Selection {
  const domain = domains.find((d) => d.domid === selection.domid);
  if (domain === undefined) return { domid: domains.at(-1)?.domid ?? null, vcpu: 0 };
  if (selection.vcpu < Math.max(1, domain.vcpus.length)) return selection;
  return { domid: domain.domid, vcpu: 0 };
}

/** The domain `by` places further on in the list, round and round. */
export function neighbour(selection: Selection, domains: readonly DomainSummary[], by: number): Selection {
  if (domains.length === 0) return { domid: null, vcpu: 0 };
  const at = domains.findIndex((d) => d.domid === selection.domid);
  const next = domains[(at + by + domains.length) % domains.length]!;
  return { domid: next.domid, vcpu: 0 };
}

/** A letter per domain; the toolstack is T. Domains of one machine get A, B, C ... by their number. */
export function domainLetter(domid: number): string {
  if (domid === 0) return 'T';
  return String.fromCharCode(65 + ((domid - 1) % 26));
}

/** Index of the hue and pattern of a domain: 0 the toolstack, 1 to 4 guests, round and round. */
export const domainHue = (domid: number): number => (domid === 0 ? 0 : ((domid - 1) % 4) + 1);
