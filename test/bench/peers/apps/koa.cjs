const Koa = require('koa');
const { answer, keepAliveTimeout } = require('./answer.cjs');

const app = new Koa();
app.use((ctx) => {
  ctx.type = 'application/json';
  ctx.body = answer;
});
app.listen(Number(process.env.PORT)).keepAliveTimeout = keepAliveTimeout;
