/**
 * Whether a version of Node fits what "engines" of a package.json asks for, as npm reads it (semver); null where that is
 * written in a way that is not known here, and so says nothing.
 */
export function fitsEngines(range: string, version: string): boolean | null {
  const node = numbersOf(version);
  const alternatives = range.split('||').map((each) => fitsAll(each.trim(), node));
  if (alternatives.includes(true)) return true;
  return alternatives.includes(null) ? null : false;
}

type Numbers = readonly [major: number, minor: number, patch: number];

function fitsAll(range: string, node: Numbers): boolean | null {
  const [, from, to] = /^(\S+)\s+-\s+(\S+)$/.exec(range) ?? [];
  const spaced = range.replaceAll(/([<>=~^]+)\s+/g, '$1');
  const words = from === undefined ? spaced.split(/\s+/) : [`>=${from}`, `<=${to}`];
  const fits = words.map((word) => fitsOne(word, node));
  if (fits.includes(null)) return null;
  return !fits.includes(false);
}

function fitsOne(word: string, node: Numbers): boolean | null {
  if (word === '' || /^[*xX]$/.test(word) || word === 'latest') return true;
  const [, operator = '', version] = /^(>=|<=|>|<|=|\^|~|)v?(\d+(?:\.(?:\d+|[xX*])){0,2})$/.exec(word) ?? [];
  if (version === undefined) return null;
  const given = version.split('.').filter((part) => /^\d+$/.test(part)).length;
  const low = numbersOf(version);
  switch (operator) {
    case '>=':
      return compare(node, low) >= 0;
    case '<':
      return compare(node, low) < 0;
    case '>':
      // More than 20 is 21, as 20 stands for all of its versions.
      return given === 3 ? compare(node, low) > 0 : compare(node, next(low, given)) >= 0;
    case '<=':
      return given === 3 ? compare(node, low) <= 0 : compare(node, next(low, given)) < 0;
    case '^':
      return compare(node, low) >= 0 && compare(node, next(low, low[0] > 0 ? 1 : Math.min(given, 2))) < 0;
    case '~':
      return compare(node, low) >= 0 && compare(node, next(low, Math.min(given, 2))) < 0;
    default:
      return given === 3
        ? compare(node, low) === 0
        : compare(node, low) >= 0 && compare(node, next(low, given)) < 0;
  }
}

/** The first version that does not begin with so many of these numbers. */
function next([major, minor, patch]: Numbers, given: number): Numbers {
  if (given <= 1) return [major + 1, 0, 0];
  return given === 2 ? [major, minor + 1, 0] : [major, minor, patch + 1];
}

function compare(a: Numbers, b: Numbers): number {
  const [difference = 0] = a.map((value, index) => value - (b[index] ?? 0)).filter((each) => each !== 0);
  return difference;
}

function numbersOf(version: string): Numbers {
  const [major = 0, minor = 0, patch = 0] = version
    .replace(/^v/, '')
    .split(/[.-]/)
    .map((part) => Number.parseInt(part, 10) || 0);
  return [major, minor, patch];
}
