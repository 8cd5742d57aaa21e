import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:http';
import { openChannel } from '../../../../src/worker/channel.js';
import { createHandOn } from '../../../../src/worker/transfer/hand-on.js';

/** A worker for lost-handle.test.ts, which forks it and tells it when to have no file descriptor left. */
const channel = openChannel(process);
const handOn = createHandOn({
  channel,
  moving: { mode: 'off', isAble: () => false, tell: () => {} },
});
channel.onMessage((message, connection) => {
  if (message.type === 'take') handOn.take(message, connection);
});
const taken: number[] = [];
process.on('message', (order) => {
  if (order === 'fill') fill();
  else for (const fd of taken.splice(0)) closeSync(fd);
  process.send?.(order);
});
const server = createServer((request, response) => response.end(`[${request.url}]`));
server.listen(0, '127.0.0.1', () => {
  handOn.onListening(server);
  process.send?.(server.address());
});

function fill(): void {
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {}
}
