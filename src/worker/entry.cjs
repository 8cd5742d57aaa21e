// Becomes dist/worker/main.js, which the master forks, and main.ts becomes start.js beside it. The master is told what keeps
// the rest from being loaded, instead of a stack on standard error: a worker that is forked during an upgrade in place may
// miss a file for a moment.

/** EX_TEMPFAIL */
const incomplete = 75;

try {
  require('./start.js').loaded.catch(fail);
} catch (error) {
  fail(error);
}

function fail({ message, stack }) {
  const failure = {
    message: `rom-agent's worker cannot be loaded; unless it is being upgraded, install it again: ${message.split('\n')[0]}`,
    exitCode: incomplete,
    stack,
  };
  // As protocol/messages.ts has it.
  process.send({ cmd: 'NODE_ROM_AGENT', type: 'failed', failure }, () => process.exit(incomplete));
}
