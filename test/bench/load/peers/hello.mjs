// The smallest app that there is: whatever is added to a request weighs most here.
import { createServer } from 'node:http';

const body = 'hello\n';

createServer((_, response) => {
  response.setHeader('Content-Type', 'text/plain');
  response.end(body);
}).listen(process.env.PORT);
