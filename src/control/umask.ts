/** What is made in `make`, which must be synchronous, has none of the permission bits of `mask`. */
export function withUmask<T>(mask: number, make: () => T): T {
  const before = process.umask(mask);
  try {
    return make();
  } finally {
    process.umask(before);
  }
}
