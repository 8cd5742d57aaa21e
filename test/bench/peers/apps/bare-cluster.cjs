// What many put around an app: so many workers of node:cluster, and another for each that ends.
const cluster = require('node:cluster');

const workers = Number(process.env.WORKERS);
if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', () => {
    listening += 1;
    if (listening === workers) process.stdout.write(`serving with ${workers} workers\n`);
  });
  cluster.on('exit', () => cluster.fork());
  for (let worker = 1; worker <= workers; worker += 1) cluster.fork();
} else {
  require(process.env.APP);
}
