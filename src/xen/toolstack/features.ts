/**
 * The FEATURES string of an image: names separated by '|', '!' in front of those it requires (public/features.h).
 * "Required" does not mean that get_features must report the bit: pvops Linux requires writable_page_tables and
 * boots where the bit is clear. The builder only refuses what selects another kind of domain.
 */
import { type ImageResult, imageError } from './image-error.ts';

const KNOWN = [
  'writable_page_tables',
  'writable_descriptor_tables',
  'auto_translated_physmap',
  'supervisor_mode_kernel',
  'pae_pgdir_above_4gb',
  'mmu_pt_update_preserve_ad',
  'highmem_assist',
  'gnttab_map_avail_bits',
  'hvm_callback_vector',
  'hvm_safe_pvclock',
  'hvm_pirqs',
  'dom0',
  'grant_map_identity',
  'memory_op_vnode_supported',
  'ARM_SMCCC_supported',
  'linux_rsdp_unrestricted',
  'not_direct_mapped',
  'direct_mapped',
];
const REFUSED: Record<string, string> = {
  auto_translated_physmap: 'a translated (not paravirtual) address space',
};

export function compatibleFeatures(features: string): ImageResult<null> {
  for (const word of features.split('|')) {
    if (!word.startsWith('!')) continue;
    const name = word.slice(1);
    if (!KNOWN.includes(name)) {
      return imageError(
        'unknown-required-feature',
        `the image requires the feature '${name}', which is unknown here`,
        { feature: name },
      );
    }
    const refused = REFUSED[name];
    if (refused) {
      return imageError('unsupported-feature', `the image requires ${name}: ${refused}`, { feature: name });
    }
  }
  return { ok: true, value: null };
}

export const requiresDomainZero = (features: string): boolean => features.split('|').includes('!dom0');
