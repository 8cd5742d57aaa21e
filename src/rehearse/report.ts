import type { Finding, Verdict } from './verdict.js';

/** What is told of a whole rehearsal. */
export interface RehearsalReport {
  /** As it was given. */
  readonly app: string;
  readonly workers: number;
  /** Of Node. */
  readonly node: string;
  readonly tookMs: number;
  readonly verdicts: readonly (Verdict & { readonly tookMs: number })[];
}

/** Each once, though several acts have seen it. */
export function findingsOf({ verdicts }: Pick<RehearsalReport, 'verdicts'>): readonly Finding[] {
  const seen = new Set<string>();
  return verdicts
    .flatMap(({ findings }) => findings)
    .filter(({ kind, at, text }) => {
      const key = at === null ? text : `${kind} ${at}`;
      return !seen.has(key) && seen.add(key);
    });
}

/** JUnit's XML, as CI servers read it: a test case an act. */
export function toJUnit({ app, tookMs, verdicts }: RehearsalReport): string {
  const failures = verdicts.filter(({ result }) => result === 'findings').length;
  const skipped = verdicts.filter(({ result }) => result === 'skipped').length;
  const name = attribute(`rom-agent rehearse ${app}`);
  const cases = verdicts.map(
    ({ act, result, summary, findings, tookMs: took }) =>
      `    <testcase classname="rehearsal" name="${act}" time="${inSeconds(took)}"${
        result === 'ok' ? ` />\n` : `>\n${bodyOf({ result, summary, findings })}    </testcase>\n`
      }`,
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\n',
    `<testsuites tests="${verdicts.length}" failures="${failures}" skipped="${skipped}" time="${inSeconds(tookMs)}">\n`,
    `  <testsuite name="${name}" tests="${verdicts.length}" failures="${failures}" skipped="${skipped}" errors="0" time="${inSeconds(tookMs)}">\n`,
    ...cases,
    '  </testsuite>\n</testsuites>\n',
  ].join('');
}

function bodyOf({ result, summary, findings }: Pick<Verdict, 'result' | 'summary' | 'findings'>): string {
  if (result === 'skipped') return `      <skipped message="${attribute(summary)}" />\n`;
  return findings
    .map(
      ({ kind, text, advice }) =>
        `      <failure type="${attribute(kind)}" message="${attribute(text)}">${escaped(`${text}\n${advice}`)}</failure>\n`,
    )
    .join('');
}

function inSeconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

function attribute(text: string): string {
  return escaped(text).replaceAll('"', '&quot;').replaceAll('\n', '&#10;');
}

/** Without what XML 1.0 has no characters for. */
function escaped(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that XML forbids
      .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '?')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
  );
}
