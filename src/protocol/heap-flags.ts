/** How large the heap of a worker may become. MiB */
export interface HeapSizes {
  readonly maxOldSpaceSize: number;
  readonly maxSemiSpaceSize: number;
}

/** The flags of V8 that say so, and how it gets there. */
export function heapFlags({ maxOldSpaceSize, maxSemiSpaceSize }: HeapSizes): readonly string[] {
  return [
    `--max-old-space-size=${maxOldSpaceSize}`,
    `--max-semi-space-size=${maxSemiSpaceSize}`,
    // A server soon needs what V8 would grow to step by step, promoting what is only in flight meanwhile: measured,
    // 5 to 9 % of the CPU of a connection per request, for no memory while idle.
    `--min-semi-space-size=${Math.ceil(maxSemiSpaceSize / 2)}`,
    // Under a limit of less than 2 GiB V8 collects all of the heap whenever it has grown by two fifths, however far away
    // the limit is: 3 % of the CPU of a connection per request. Without a limit it may grow by so many percent first. It
    // never goes more than half the way to the limit at a time, with this flag either.
    '--heap-growing-percent=300',
  ];
}

const beginnings = heapFlags({ maxOldSpaceSize: 0, maxSemiSpaceSize: 0 }).map((flag) =>
  flag.slice(0, flag.indexOf('=') + 1),
);

/** Among the arguments of a process, in their order: of two the last is in force. */
export function heapFlagsAmong(argv: readonly string[]): readonly string[] {
  return argv.filter((flag) => beginnings.some((beginning) => flag.startsWith(beginning)));
}
