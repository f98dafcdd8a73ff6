/** The channels and pages between a new domain and the toolstack's daemons (boot.md section 4). */
import type { Domain } from '../domain.ts';
import { toolstackAllocUnbound, toolstackBind } from '../evtchn.ts';
import type { Hypervisor } from '../hypervisor.ts';

/** Port 1 is the xenstore's, port 2 the console's. Both ends are connected and nothing is raised. */
export function openChannels(hv: Hypervisor, domain: Domain, storeMfn: number, consoleMfn: number): void {
  domain.storeMfn = storeMfn;
  domain.consoleMfn = consoleMfn;
  domain.storePort = toolstackAllocUnbound(hv, domain);
  domain.consolePort = toolstackAllocUnbound(hv, domain);
  toolstackBind(hv, domain, domain.storePort);
  toolstackBind(hv, domain, domain.consolePort);
  const [grants] = domain.grantFrames;
  if (domain.personality === '3.0.2' || grants === undefined) return;
  // Grant entries 0 and 1 let the daemons map the two pages: flags permit_access, domid, frame.
  for (const [entry, mfn] of [domain.consoleMfn, domain.storeMfn].entries()) {
    hv.memory.write16(grants * 4096 + entry * 8, 1);
    hv.memory.write16(grants * 4096 + entry * 8 + 2, hv.toolstackDomid);
    hv.memory.write32(grants * 4096 + entry * 8 + 4, mfn);
  }
}
