/** A path such as `/_ops`: begins with a slash, ends without one, no query, fragment, blank or empty segment. */
const PREFIX = /^(?:\/[^/?#\s]+)+$/;

/** @throws {RangeError} where the prefix would never match a path, or match all of them. */
export function checkPrefix(prefix: string): string {
  if (PREFIX.test(prefix)) return prefix;
  throw new RangeError(`prefix: ${JSON.stringify(prefix)} is not right: expected a path such as "/_ops"`);
}

/** Whether a request's target is the prefix itself or lies below it. */
export function isUnder(prefix: string, url: string | undefined): boolean {
  if (url?.startsWith(prefix) !== true) return false;
  const next = url[prefix.length];
  return next === undefined || next === '/' || next === '?';
}
