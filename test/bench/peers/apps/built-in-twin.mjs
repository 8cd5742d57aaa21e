// What rom-agent is measured against: two workers of node:cluster, and nothing else. The answer to
// /api/info, its headers and the way it is made are those of src/http/app.ts and info.ts.
import cluster from 'node:cluster';

const workers = 2;
const port = Number(process.env.PORT);

if (cluster.isPrimary) startPrimary();
else await startWorker();

function startPrimary() {
  let listening = 0;
  cluster.on('listening', () => {
    listening += 1;
    if (listening === workers) process.stdout.write(`serving with ${workers} workers\n`);
  });
  for (let worker = 1; worker <= workers; worker += 1) cluster.fork();
}

async function startWorker() {
  const [{ default: Koa }, { default: Router }] = await Promise.all([import('koa'), import('@koa/router')]);
  const info = cached(currentInfo, 1000);
  const body = rememberLast(renderInfo);
  const router = new Router({ sensitive: true, strict: true });
  router.get('/api/info', (ctx) => {
    ctx.res.setHeader('Content-Type', 'application/json; charset=utf-8');
    ctx.res.setHeader('Cache-Control', 'no-store');
    ctx.body = body(info());
  });
  new Koa().use(router.routes()).listen(port);
}

function currentInfo() {
  const { rss, heapUsed } = process.memoryUsage();
  return {
    name: 'rom-agent',
    version: '0.1.0',
    pid: process.pid,
    worker: cluster.worker.id,
    uptimeSeconds: Math.floor(process.uptime()),
    node: process.version,
    cpus: 2,
    mode: 'cluster',
    memory: { rssBytes: rss, heapUsedBytes: heapUsed },
  };
}

function cached(make, maxAge) {
  let value = make();
  let madeAt = performance.now();
  return () => {
    if (performance.now() - madeAt > maxAge) {
      value = make();
      madeAt = performance.now();
    }
    return value;
  };
}

function rememberLast(render) {
  let last;
  let body = '';
  return (value) => {
    if (value !== last) {
      body = render(value);
      last = value;
    }
    return body;
  };
}

function renderInfo(info) {
  const json = JSON.stringify(info);
  return `${json}${' '.repeat(512 - Buffer.byteLength(json) - 1)}\n`;
}
