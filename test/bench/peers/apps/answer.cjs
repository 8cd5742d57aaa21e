// What every app answers, and how long it keeps connections: longer than proxies do.
const { isMainThread, threadId } = require('node:worker_threads');

const worker = isMainThread ? `${process.pid}` : `${process.pid}-${threadId}`;
exports.answer = JSON.stringify({ hello: 'world', worker, filler: 'x'.repeat(200) });
exports.keepAliveTimeout = 75_000;
