const fastify = require('fastify');
const { answer, keepAliveTimeout } = require('./answer.cjs');

const app = fastify({ keepAliveTimeout });
app.get('/', (_request, reply) => {
  reply.type('application/json').send(answer);
});
app.listen({ port: Number(process.env.PORT), host: '0.0.0.0' });
