// The app that everybody reloads. It listens by itself, for PM2 does not do that for an app.
import { createServer } from 'node:http';

const { PORT, DRAINS } = process.env;
const filler = 'x'.repeat(200);

const server = createServer((req, res) => {
  req.resume().on('end', () => {
    const body = JSON.stringify({ pid: process.pid, filler });
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length }).end(body);
  });
}).listen(Number(PORT), '127.0.0.1');

// The graceful shutdown that PM2's documentation asks of apps.
if (DRAINS) process.on('SIGINT', () => server.close(() => process.exit(0)));
