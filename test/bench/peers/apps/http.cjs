const { createServer } = require('node:http');
const { answer, keepAliveTimeout } = require('./answer.cjs');

createServer({ keepAliveTimeout }, (_request, response) => {
  response.setHeader('Content-Type', 'application/json');
  response.end(answer);
}).listen(Number(process.env.PORT));
