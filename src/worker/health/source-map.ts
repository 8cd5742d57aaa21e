/** A place in a source; lines and columns count from 0. */
export interface OriginalPosition {
  /** Its place in `sources` of the map. */
  readonly source: number;
  readonly line: number;
  readonly column: number;
}

/**
 * Where a place of compiled code comes from, by the `mappings` of a source map (https://tc39.es/ecma426/). It reads them
 * once and keeps nothing: Node's own SourceMap makes an array of each of the hundred thousands of segments. Null where
 * there is no segment before the place in its line.
 *
 * The thread of a worker gets this function as its source text: it must not use anything outside of itself.
 */
export function originalPosition(mappings: string, line: number, column: number): OriginalPosition | null {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const fields = [0, 0, 0, 0, 0];
  let found: OriginalPosition | null = null;
  let at = 0;
  let generated = 0;
  while (at < mappings.length && generated <= line) {
    const mark = mappings[at];
    if (mark === ';') {
      generated += 1;
      fields[0] = 0;
      at += 1;
    } else if (mark === ',') {
      at += 1;
    } else {
      let field = 0;
      while (at < mappings.length && mappings[at] !== ',' && mappings[at] !== ';') {
        let value = 0;
        let shift = 0;
        let more = true;
        while (more && at < mappings.length) {
          const digit = digits.indexOf(mappings.charAt(at));
          if (digit === -1) return null;
          at += 1;
          value |= (digit & 31) << shift;
          shift += 5;
          more = (digit & 32) !== 0;
        }
        fields[field] = (fields[field] ?? 0) + (value & 1 ? -(value >>> 1) : value >>> 1);
        field += 1;
      }
      const [from = 0, source = 0, originalLine = 0, originalColumn = 0] = fields;
      if (generated === line && from <= column)
        found = field >= 4 ? { source, line: originalLine, column: originalColumn } : null;
    }
  }
  return found;
}
