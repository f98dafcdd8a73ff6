/** errno values of the hypercall ABI (public/errno.h). Hypercalls return them negated. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  EISDIR: 21,
  EINVAL: 22,
  ENOSPC: 28,
  EROFS: 30,
  EDOM: 33,
  ERANGE: 34,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ETIME: 62,
  EILSEQ: 84,
  ERESTART: 85,
  EOPNOTSUPP: 95,
  ENOBUFS: 105,
  EISCONN: 106,
  ETIMEDOUT: 110,
} as const;
export type ErrnoName = keyof typeof ERRNO;

export const EPERM = -ERRNO.EPERM;
export const ENOENT = -ERRNO.ENOENT;
export const ESRCH = -ERRNO.ESRCH;
export const ENXIO = -ERRNO.ENXIO;
export const E2BIG = -ERRNO.E2BIG;
export const ENOMEM = -ERRNO.ENOMEM;
export const EACCES = -ERRNO.EACCES;
export const EFAULT = -ERRNO.EFAULT;
export const EBUSY = -ERRNO.EBUSY;
export const EEXIST = -ERRNO.EEXIST;
export const ENODEV = -ERRNO.ENODEV;
export const EINVAL = -ERRNO.EINVAL;
export const ENOSPC = -ERRNO.ENOSPC;
export const ENOSYS = -ERRNO.ENOSYS;
export const ETIME = -ERRNO.ETIME;
export const EOPNOTSUPP = -ERRNO.EOPNOTSUPP;

const NAMES = new Map<number, string>(Object.entries(ERRNO).map(([name, value]) => [-value, name]));
/** errnoName(-22) = "EINVAL"; undefined if the number is no errno. */
export function errnoName(result: number): string | undefined {
  return NAMES.get(result);
}
