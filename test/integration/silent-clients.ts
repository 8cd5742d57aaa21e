import { connect } from 'node:net';

/** A process of its own, so as not to hold up the clients that are measured: connects so many times and says nothing. */
const [port = 0, count = 0] = process.argv.slice(2).map(Number);
for (let nth = 0; nth < count; nth++) connect({ host: '127.0.0.1', port }).on('error', () => {});
