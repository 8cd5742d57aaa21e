// Each request takes 20 ms of one of ten connections to a database, and hardly anything of the event loop.
const { createServer } = require('node:http');

let free = 10;
const waiting = [];
function query(done) {
  if (free === 0) return void waiting.push(done);
  free--;
  setTimeout(() => {
    free++;
    const next = waiting.shift();
    if (next !== undefined) query(next);
    done();
  }, 20);
}
createServer((_request, response) => query(() => response.end('well'))).listen(
  process.env.PORT,
  process.env.HOST,
);
