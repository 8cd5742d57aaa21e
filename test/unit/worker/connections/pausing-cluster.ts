import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { keepOpen } from '../../../../src/master/listen-sockets.js';
import { createAccepting } from '../../../../src/worker/connections/descriptors.js';

/**
 * A cluster of two for descriptors-pause.test.ts, which forks it: each order goes to both workers, and their answers come
 * back as a list. Its argument is what to listen on, as JSON.
 */
type Order = 'pause' | 'resume' | 'close' | 'address' | 'listen twice';

const where = JSON.parse(process.argv[2] ?? '{}');

if (cluster.isPrimary) {
  keepOpen(where.fd === undefined ? [] : [where.fd]);
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  const workers = [cluster.fork(), cluster.fork()];
  const all = () =>
    Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
  process.send?.(await all());
  process.on('message', async (order: Order) => {
    const answers = all();
    for (const worker of workers) worker.send(order);
    process.send?.(await answers);
  });
  process.on('disconnect', () => process.exit());
} else {
  const tell = (what: unknown) => process.send?.(what);
  const accepting = createAccepting(() => tell('lost'));
  const server = createServer((_request, response) => response.end(String(process.pid)));
  const orders: Record<Order, () => void> = {
    pause: () => tell(accepting.pause([server])),
    resume: () => {
      accepting.resume();
      tell('resumed');
    },
    close: () => {
      server.close(() => tell('closed'));
      server.closeIdleConnections();
    },
    address: () => tell(server.address()),
    'listen twice': () => {
      createServer()
        .on('error', ({ code }: NodeJS.ErrnoException) => tell(code))
        .listen(server.address(), () => tell('listens'));
    },
  };
  process.on('message', (order: Order) => orders[order]?.());
  server.listen(where, () => tell(server.address()));
}
