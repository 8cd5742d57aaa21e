// Each request takes 5 ms of the event loop, as rendering a page may.
const { createServer } = require('node:http');

createServer((_request, response) => {
  const until = process.hrtime.bigint() + 5_000_000n;
  while (process.hrtime.bigint() < until);
  response.end('well');
}).listen(process.env.PORT, process.env.HOST);
