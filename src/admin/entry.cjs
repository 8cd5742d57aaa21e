// Becomes dist/admin/main.js, which the master and `rom-agent dashboard` start, and main.ts becomes start.js beside it.
// Whoever started it is told what keeps the rest from being loaded: an upgrade in place may have replaced the files.
try {
  require('./start.js');
} catch (error) {
  const message = `the admin server cannot be loaded; unless rom-agent is being upgraded, install it again: ${error}`;
  if (process.send === undefined) throw error;
  process.send({ type: 'failed', message }, () => process.exit(1));
}
