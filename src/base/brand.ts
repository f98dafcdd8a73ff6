/**
 * Distinct number types without a run-time cost. A machine frame number and a pseudo-physical frame number are
 * both numbers; branding keeps one from being passed where the other is meant. Arithmetic gives a plain number.
 */
declare const brand: unique symbol;
export type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Machine frame number: index of a 4 KiB frame of machine RAM. */
export type Mfn = Brand<number, 'Mfn'>;
/** Pseudo-physical frame number: the guest's own contiguous numbering. */
export type Pfn = Brand<number, 'Pfn'>;
/** Machine address in bytes. */
export type Maddr = Brand<number, 'Maddr'>;
/** Linear (virtual) address, unsigned 32 bits. */
export type Va = Brand<number, 'Va'>;
/** Event-channel port of one domain. */
export type Port = Brand<number, 'Port'>;
export type Domid = Brand<number, 'Domid'>;
/** Nanoseconds of virtual time since the hypervisor started. At the lab's 1 GHz this equals cycles. */
export type VirtualNs = Brand<number, 'VirtualNs'>;

export const asMfn = (n: number): Mfn => n as Mfn;
export const asPfn = (n: number): Pfn => n as Pfn;
export const asMaddr = (n: number): Maddr => n as Maddr;
export const asVa = (n: number): Va => (n >>> 0) as Va;
export const asPort = (n: number): Port => n as Port;
export const asDomid = (n: number): Domid => n as Domid;
