import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DOMParser, type Element } from '@xmldom/xmldom';
import { launchdRuntime } from '../../../src/config/directories.js';
import { table } from '../../../src/settings/table.js';
import { type Dictionary, isDictionary, parseDictionary, shippedText } from './job.js';
import { type Kind, nestedKeys, topLevelKeys } from './keys.js';

const text = shippedText();
const job = parseDictionary(text);
const variables = job.EnvironmentVariables as Readonly<Record<string, string>>;

describe('the launchd plist', () => {
  it('has known keys only', () => {
    assert.deepEqual(unknownKeys(job), []);
  });

  it('gives every key the kind of value that launchd expects', () => {
    assert.deepEqual(wrongKinds(job), []);
  });

  it('gives no key twice', () => {
    assert.deepEqual(repeatedKeys(text), []);
  });

  it('is labelled like its file', () => {
    assert.equal(job.Label, 'org.rom-agent');
  });

  it('starts node itself at boot, in the foreground, and not as root', () => {
    assert.deepEqual(job.ProgramArguments, ['@NODE@', '@LIBDIR@/dist/cli/main.js', 'serve']);
    assert.equal(job.RunAtLoad, true);
    assert.equal(job.UserName, '@USER@');
    assert.equal(job.GroupName, '@GROUP@');
  });

  it('leaves a drain more time than it takes by default', () => {
    const drain = table.drain_timeout.default / 1000;
    const exitTimeOut = Number(job.ExitTimeOut);
    assert.ok(exitTimeOut > drain, `ExitTimeOut is ${exitTimeOut} s, drain_timeout is ${drain} s`);
  });

  it('restarts after a failure only, at an explicit pace', () => {
    assert.deepEqual(job.KeepAlive, { SuccessfulExit: false });
    assert.equal(job.ThrottleInterval, 10);
  });

  it('tells the daemon that launchd would restart it for ever', () => {
    assert.equal(variables.ROM_AGENT_SUPERVISOR, 'launchd');
  });

  it('has the account keep its history where it may write, and its socket where the command looks', async () => {
    assert.equal(variables.STATE_DIRECTORY, '@STATEDIR@');
    assert.equal(variables.RUNTIME_DIRECTORY?.replace('@STATEDIR@', '/var/db/rom-agent'), launchdRuntime);
    assert.equal(job.WorkingDirectory, '@STATEDIR@');
  });

  it('names the file that the daemon is to follow', () => {
    assert.equal(variables.ROM_AGENT_OUTPUT, job.StandardOutPath);
  });

  it('lets launchd signal the workers when the master is gone', () => {
    assert.equal('AbandonProcessGroup' in job, false);
  });

  it('never permits a SIGKILL of an idle daemon', () => {
    assert.equal('EnableTransactions' in job, false);
    assert.equal('EnablePressuredExit' in job, false);
  });

  it('asks for no sockets, which node cannot fetch from launchd', () => {
    assert.equal('Sockets' in job, false);
  });

  it('is of the one process type that is not throttled', () => {
    assert.equal(job.ProcessType, 'Interactive');
  });

  it('sets both limits of open files to what every macOS allows', () => {
    assert.deepEqual(job.SoftResourceLimits, { NumberOfFiles: 10240 });
    assert.deepEqual(job.HardResourceLimits, { NumberOfFiles: 10240 });
  });

  it('masks 027, written in decimal', () => {
    assert.equal(job.Umask, 0o027);
    assert.match(text, /<integer>23<\/integer>/);
  });

  it('writes to files in a directory of its own', () => {
    assert.equal(job.StandardOutPath, '@LOGDIR@/rom-agent.log');
    assert.equal(job.StandardErrorPath, '@LOGDIR@/rom-agent.log');
  });
});

describe('the checks of the plist', () => {
  it('find a misspelt key, which plutil -lint would not', () => {
    const misspelt = parseDictionary(text.replace('<key>ExitTimeOut<', '<key>ExitTimeout<'));
    assert.deepEqual(unknownKeys(misspelt), ['ExitTimeout']);
  });

  it('find a misspelt key inside a dictionary', () => {
    const misspelt = parseDictionary(text.replace('SuccessfulExit', 'SuccessfullExit'));
    assert.deepEqual(unknownKeys(misspelt), ['KeepAlive.SuccessfullExit']);
  });

  it('find a key that is given twice, of which a parser keeps the last', () => {
    const twice = text.replace(
      '<key>RunAtLoad</key>',
      '<key>Umask</key><integer>18</integer><key>RunAtLoad</key>',
    );
    assert.deepEqual(repeatedKeys(twice), ['Umask']);
    const nested = text.replace('<false/>', '<false/><key>SuccessfulExit</key><true/>');
    assert.deepEqual(repeatedKeys(nested), ['SuccessfulExit']);
  });

  it('find a number that is written as a string', () => {
    const wrong = parseDictionary(text.replace('<integer>45</integer>', '<string>45</string>'));
    assert.deepEqual(wrongKinds(wrong), ['ExitTimeOut must be integer']);
  });
});

function unknownKeys(dictionary: Dictionary): string[] {
  const nested = Object.entries(nestedKeys).flatMap(([parent, allowed]) => {
    const value = dictionary[parent];
    const keys = isDictionary(value) ? Object.keys(value) : [];
    return keys.filter((key) => !allowed.includes(key)).map((key) => `${parent}.${key}`);
  });
  return [...Object.keys(dictionary).filter((key) => !(key in topLevelKeys)), ...nested];
}

function wrongKinds(dictionary: Dictionary): string[] {
  return Object.entries(dictionary)
    .filter(([key, value]) => !(topLevelKeys[key] ?? []).some((kind) => isOfKind[kind](value)))
    .map(([key]) => `${key} must be ${(topLevelKeys[key] ?? []).join(' or ')}`);
}

const isOfKind: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  integer: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === 'boolean',
  strings: (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
  dict: isDictionary,
  'dict of integers': (value) => isDictionary(value) && Object.values(value).every(Number.isInteger),
  'dict of strings': (value) =>
    isDictionary(value) && Object.values(value).every((item) => typeof item === 'string'),
  array: Array.isArray,
};

/** Looks at the XML, since every parser of property lists keeps one of two equal keys and says nothing. */
function repeatedKeys(xml: string): string[] {
  const document = new DOMParser().parseFromString(xml, 'text/xml');
  return [...document.getElementsByTagName('dict')].flatMap((dict) => {
    const names = [...dict.childNodes].filter(isKey).map((key) => key.textContent ?? '');
    return names.filter((name, index) => names.indexOf(name) !== index);
  });
}

function isKey(node: unknown): node is Element {
  return (node as Element).nodeName === 'key';
}
