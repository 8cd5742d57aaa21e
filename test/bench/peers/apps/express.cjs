const express = require('express');
const { answer, keepAliveTimeout } = require('./answer.cjs');

const app = express();
app.get('/', (_request, response) => {
  response.type('application/json').send(answer);
});
app.listen(Number(process.env.PORT)).keepAliveTimeout = keepAliveTimeout;
