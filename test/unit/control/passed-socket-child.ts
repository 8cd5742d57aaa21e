import { openControl } from '../../../src/control/server.js';
import { RomAgentError } from '../../../src/errors.js';
import { fakeCommands } from './fake-commands.js';

/** Serves on descriptor 3 until its standard input ends. */
try {
  const { commands } = fakeCommands();
  const server = await openControl({ fd: 3, commands, version: '0.1.0', log: { error: () => {} } });
  process.stdout.write('listening\n');
  process.stdin.resume().once('end', () => server.close());
} catch (error) {
  process.stderr.write(`${error}\n`);
  process.exitCode = error instanceof RomAgentError ? error.exitCode : 1;
}
