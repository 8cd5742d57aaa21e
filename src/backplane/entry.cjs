// Becomes dist/backplane/main.js, which the master starts, and main.ts becomes start.js beside it. The master is told what
// keeps the rest from being loaded: an upgrade in place may have replaced the files.
try {
  require('./start.js');
} catch (error) {
  const message = `the backplane cannot be loaded; unless rom-agent is being upgraded, install it again: ${error}`;
  if (process.send === undefined) throw error;
  process.send({ type: 'failed', message }, () => process.exit(1));
}
