#!/usr/bin/env node
// Becomes dist/cli/main.js, which service managers and users start, and main.ts becomes start.js beside it. It tells what
// keeps the rest from being loaded, where Node itself would print a stack without a priority for the journal.
// A Node of years ago has to run it too: packaging/bundle.mjs sees to the syntax, and no name may begin with `node:`.
// biome-ignore lint/style/useNodejsImportProtocol: Node before 14.18 does not know it
const fs = require('fs');

const oldest = [20, 19];

/** EX_CONFIG, after which the unit is not started again: that would not change this Node. launchd knows 0 only for that. */
const tooOld = process.env.ROM_AGENT_SUPERVISOR === 'launchd' ? 0 : 78;

/** EX_TEMPFAIL, after which it is: during an upgrade in place a file may be missing for a moment. */
const incomplete = 75;

const [major, minor] = process.versions.node.split('.').map(Number);
if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) load();
else
  end(tooOld, `needs Node.js ${oldest.join('.')} or later; ${process.execPath} is ${process.versions.node}`);

function load() {
  try {
    require('./start.js');
  } catch (error) {
    end(incomplete, `cannot be loaded; reinstall it unless an upgrade is in progress: ${textOf(error)}`);
  }
}

/** A loader's error says all there is in its message; a stack is for what nobody expected. */
function textOf(error) {
  const { code, message, stack } = Object(error);
  return String((code === 'MODULE_NOT_FOUND' ? message : stack) || error);
}

function end(status, text) {
  const prefix = isJournal() ? '<3>' : '';
  const lines = `rom-agent ${text}`.split('\n').filter((line) => line !== '');
  try {
    fs.writeSync(2, lines.map((line) => `${prefix}${line}\n`).join(''));
  } catch (_) {
    // Nobody reads it: the status has to do.
  }
  process.exit(status);
}

/** systemd.exec(5): JOURNAL_STREAM names device and inode. */
function isJournal() {
  try {
    const { dev, ino } = fs.fstatSync(2);
    return process.env.JOURNAL_STREAM === `${dev}:${ino}`;
  } catch (_) {
    return false;
  }
}
