import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DOMParser } from '@xmldom/xmldom';
import { reportOf } from '../../../src/cli/start/rehearse.js';
import { findingsOf, type RehearsalReport, toJUnit } from '../../../src/rehearse/report.js';
import { parseReports } from '../../../src/rehearse/reports.js';

const finding = {
  act: 'reload',
  kind: 'endless-shutdown',
  text: 'the app <does> not "end"\u0000',
  at: 'server.js:40',
  advice: 'end & be done',
} as const;
const report: RehearsalReport = {
  app: './server.js',
  workers: 2,
  node: '24.1.0',
  tookMs: 12_300,
  verdicts: [
    { act: 'boot', result: 'ok', summary: 'serves', findings: [], tookMs: 400 },
    { act: 'reload', result: 'findings', summary: 'done', findings: [finding], tookMs: 900 },
    { act: 'cut', result: 'skipped', summary: 'no --cut', findings: [], tookMs: 0 },
    {
      act: 'stop',
      result: 'findings',
      summary: 'ended',
      findings: [{ ...finding, act: 'stop' }],
      tookMs: 900,
    },
  ],
};

describe('the report of a rehearsal', () => {
  test('tells a finding once that several acts have seen', () => {
    assert.deepEqual(findingsOf(report), [finding]);
  });

  test('has a line an act, and each finding with what to do', () => {
    const text = reportOf(report, { paint: (_, each) => each });
    assert.match(text, /^\.\/server\.js with 2 workers on Node 24\.1\.0, 12\.3 s$/m);
    assert.match(text, /^ok +boot +serves$/m);
    assert.match(text, /^1 finding +reload +done$/m);
    assert.match(text, /^skipped +cut +no --cut$/m);
    assert.match(text, /^1 finding:$/m);
    assert.match(text, /^1\. reload: .*\n {3}-> end & be done$/m);
  });

  test('is XML as JUnit writes it, whatever the app says', () => {
    const problems: string[] = [];
    const parser = new DOMParser({ onError: (_, message) => void problems.push(message) });
    const document = parser.parseFromString(toJUnit(report), 'text/xml');
    assert.deepEqual(problems, []);
    const cases = [...document.getElementsByTagName('testcase')];
    assert.deepEqual(
      cases.map((each) => each.getAttribute('name')),
      ['boot', 'reload', 'cut', 'stop'],
    );
    const [failure] = [...document.getElementsByTagName('failure')];
    assert.equal(failure?.getAttribute('message'), 'the app <does> not "end"?');
    assert.equal(document.getElementsByTagName('skipped').length, 1);
  });
});

test('a report that is not written to its end yet is left for later', () => {
  const line = '{"pid":1,"type":"begun"}';
  assert.deepEqual(parseReports(`${line}\n${line.slice(0, 9)}`), [{ pid: 1, type: 'begun' }]);
  assert.deepEqual(parseReports(''), []);
});
