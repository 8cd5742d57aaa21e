/** Whether an Accept header (RFC 9110, 12.5.1) lets `type` pass; without a header everything passes. */
export function accepts(header: string | undefined, type: string): boolean {
  if (header === undefined || header.trim() === '') return true;
  const [kind] = type.split('/');
  const ranges = header.split(',').map(readRange);
  // The most precise range decides, so that `*/*, application/json;q=0` excludes JSON.
  for (const wanted of [type, `${kind}/*`, '*/*']) {
    const range = ranges.find(({ name }) => name === wanted);
    if (range !== undefined) return range.weight > 0;
  }
  return false;
}

function readRange(text: string): { name: string; weight: number } {
  const [name = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  return { name, weight: weight === undefined ? 1 : Number(weight) };
}
