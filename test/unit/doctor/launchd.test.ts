import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parsePlist, plistKeys } from '../../../src/doctor/checks/launchd.js';
import { repoRoot } from '../../support/process.js';
import { topLevelKeys } from '../../system/launchd/keys.js';
import { examined, type World } from './fake-world.js';

const path = '/Library/LaunchDaemons/org.rom-agent.plist';
const shipped = readFileSync(join(repoRoot, 'launchd/org.rom-agent.plist'), 'utf8');

/** On a Mac, with the shipped job changed. */
function onMac(change: (text: string) => string, more: World = {}) {
  return examined({ platform: 'darwin', files: { [path]: change(shipped) }, ...more });
}

describe('the job of launchd', () => {
  test('as it is shipped is in order, and said to be known from its file', async () => {
    const report = await onMac((text) => text);
    const own = report.findings.filter(({ subject }) => subject === 'launchd');
    assert.deepEqual([...new Set(own.map(({ verdict }) => verdict))], ['ok']);
    assert.match(report.one('job').found, /read from the file/);
    assert.deepEqual(report.those('unknown'), []);
  });

  test('that is not there is unknown, as is one in another form', async () => {
    const none = await examined({ platform: 'darwin' });
    assert.match(none.one('job').found, /is not installed/);
    const binary = await onMac(() => 'bplist00...');
    assert.match(binary.one('job').change ?? '', /^sudo plutil -convert xml1/);
    for (const report of [none, binary]) assert.deepEqual(report.those('unknown'), ['job']);
  });

  test('whose ExitTimeOut is below drain_timeout, or left out', async () => {
    const short = await onMac((text) => text.replace('<integer>45</integer>', '<integer>20</integer>'));
    assert.match(short.one('ExitTimeOut').found, /^20 s, and drain_timeout is 30s/);
    assert.match(short.one('ExitTimeOut').change ?? '', /<integer>45<\/integer>/);
    const none = await onMac((text) => text.replace(/<key>ExitTimeOut<\/key>\s*<integer>45<\/integer>/, ''));
    assert.equal(none.one('ExitTimeOut').verdict, 'problem');
    const longer = await onMac((text) => text, { env: { ROM_AGENT_DRAIN_TIMEOUT: '60s' } });
    assert.match(longer.one('ExitTimeOut').change ?? '', /<integer>75<\/integer>/);
  });

  test('that is not started again after a failure, or always', async () => {
    const never = await onMac((text) => text.replace(/<key>KeepAlive<\/key>\s*<dict>[\s\S]*?<\/dict>/, ''));
    assert.equal(never.one('KeepAlive').verdict, 'problem');
    const always = await onMac((text) =>
      text.replace(/<key>KeepAlive<\/key>\s*<dict>[\s\S]*?<\/dict>/, '<key>KeepAlive</key><true/>'),
    );
    assert.equal(always.one('KeepAlive').verdict, 'warning');
  });

  test('with keys that harm, that are missing or that launchd does not know', async () => {
    const report = await onMac((text) =>
      text
        .replace('ROM_AGENT_SUPERVISOR', 'OTHER')
        .replace('<key>RunAtLoad</key>', '<key>ExitTimeout</key><integer>1</integer><key>RunAtLoad</key>')
        .replace('<key>Label</key>', '<key>AbandonProcessGroup</key><true/><key>Label</key>')
        .replaceAll('<integer>10240</integer>', '<integer>512</integer>'),
    );
    assert.deepEqual(report.those('problem'), ['ROM_AGENT_SUPERVISOR', 'AbandonProcessGroup']);
    assert.deepEqual(report.those('warning'), ['NumberOfFiles', 'ExitTimeout']);
    assert.equal(report.one('ExitTimeout').change, 'ExitTimeOut?');
  });

  test('nothing of Linux is looked at on a Mac', async () => {
    const report = await onMac((text) => text);
    const checks = report.findings.map(({ check }) => check);
    for (const check of ['systemd', 'sd-notify', 'net.core.somaxconn', 'cgroup', 'threads', 'open files'])
      assert.ok(!checks.includes(check), check);
  });
});

test('one list of keys: that of the tests of the plist', () => {
  assert.deepEqual(plistKeys, Object.keys(topLevelKeys));
});

test('a property list is read as deep as its dictionaries go', () => {
  const text =
    '<plist><!-- <dict> --><dict><key>a</key><string>x &amp; y</string><key>b</key><array><array><dict/></array><string>no</string></array>' +
    '<key>c</key><dict><key>d</key><false/></dict><key>e</key><integer>3</integer></dict></plist>';
  assert.deepEqual(parsePlist(text), { a: 'x & y', b: '', c: { d: false }, e: '3' });
  for (const nothing of ['', 'text', '<dict></dict>', '<plist>']) assert.equal(parsePlist(nothing), null);
});
