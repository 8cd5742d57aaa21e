// The app of the fault runner: it fails in every way that it is asked to. Everybody who is compared runs it.
// (CommonJS, by the package.json beside it, too: of a module that fails while it is imported PM2 keeps the process.)
const { appendFileSync, existsSync, openSync, readFileSync, statSync, writeSync } = require('node:fs');
const { createServer } = require('node:http');
const { join } = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { PORT, PLACE } = process.env;

failIfArmed();

/** Which process has which connection: what that process dies of is known to be lost with it. */
const owners = openSync(join(PLACE, 'owners'), 'a');
const eaten = [];

const routes = {
  '/work': async (req, res, query) => {
    await sleep(Number(query.get('ms')));
    if (query.has('log')) console.log(`the app says: ${'x'.repeat(Number(query.get('log')))}`);
    answer(req, res);
  },
  '/spin': (_req, res) => {
    res.write(`${process.pid}\n`);
    setImmediate(spinForEver);
  },
  '/reject': async (_req, res) => {
    res.write(`${process.pid}\n`);
    await sleep(20);
    throw new Error('nobody handles this');
  },
  // Faster than anybody can look: the kernel has to decide.
  '/eat': (_req, res) => {
    res.write(`${process.pid}\n`);
    setImmediate(eat);
  },
  // At a pace at which something can be done about it.
  '/leak': (req, res, query) => {
    setInterval(() => eaten.push(Buffer.alloc(Number(query.get('mib')) * 2 ** 20, 1)), 1_000);
    answer(req, res);
  },
  '/upload': (req, res) => req.resume().on('end', () => answer(req, res)),
};

const server = createServer((req, res) => {
  const { pathname, searchParams } = new URL(req.url, 'http://localhost');
  const route = routes[pathname];
  if (route === undefined) res.writeHead(404).end('no such route\n');
  else return void route(req, res, searchParams);
});
// By default 5 s: a service that was stopped for longer would close connections as requests come in on them.
server.keepAliveTimeout = 120_000;
server.on('connection', ({ remotePort }) =>
  writeSync(owners, `${process.pid} ${remotePort} ${Date.now()}\n`),
);
const listen = () => server.listen(Number(PORT), '127.0.0.1');
if (bootDelay() === 0) listen();
else setTimeout(listen, bootDelay());

function spinForEver() {
  for (;;);
}

function eat() {
  for (let mib = 0; mib < 32; mib += 1) eaten.push(Buffer.alloc(2 ** 20, 1));
  setImmediate(eat);
}

function answer(_req, res) {
  const body = `${JSON.stringify({ pid: process.pid, clock: Date.now(), filler: 'x'.repeat(180) })}\n`;
  res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length }).end(body);
}

/** The file `fail-boots` says how many boots are to fail from now on. */
function failIfArmed() {
  const order = join(PLACE, 'fail-boots');
  if (!existsSync(order)) return;
  const count = join(PLACE, 'failed-boots');
  appendFileSync(count, 'x');
  if (statSync(count).size <= Number(readFileSync(order, 'utf8'))) throw new Error('this boot fails');
}

/** The file `slow-boot` says how many ms a boot takes. */
function bootDelay() {
  const order = join(PLACE, 'slow-boot');
  return existsSync(order) ? Number(readFileSync(order, 'utf8')) : 0;
}
