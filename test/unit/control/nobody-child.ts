import { connectControl } from '../../../src/control/client.js';
import { openControl } from '../../../src/control/server.js';
import { RomAgentError } from '../../../src/errors.js';
import { fakeCommands } from './fake-commands.js';

/** Opens a control socket, or asks for the status at one, as the user nobody. */
const [what, path = ''] = process.argv.slice(2);
process.setgroups?.([]);
process.setgid?.(65_534);
process.setuid?.(65_534);
try {
  if (what === 'open') {
    await openControl({
      path,
      commands: fakeCommands().commands,
      version: '0.1.0',
      log: { error: () => {} },
    });
  } else {
    await connectControl({ path }).status();
  }
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error}\n`);
  process.exit(error instanceof RomAgentError ? error.exitCode : 1);
}
