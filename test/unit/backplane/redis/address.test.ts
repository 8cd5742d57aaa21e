import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { redisAddress } from '../../../../src/backplane/redis/address.js';

const of = (url: string) => redisAddress(url, 'REDIS_URL');

describe('the address of Redis', () => {
  test('has a host, a port and a database', () => {
    const { place, tls, db, shown } = of('redis://[::1]:6380/2');
    assert.deepEqual(
      { place, tls, db, shown },
      {
        place: { host: '::1', port: 6380 },
        tls: false,
        db: 2,
        shown: 'redis://[::1]:6380/2',
      },
    );
    assert.deepEqual(of('rediss://redis.example').place, { host: 'redis.example', port: 6379 });
    assert.equal(of('rediss://redis.example').tls, true);
  });

  test('is a unix socket, as a URL or as a path', () => {
    const { place, db, shown } = of('unix:///run/redis.sock?db=3');
    assert.deepEqual(
      { place, db, shown },
      {
        place: { path: '/run/redis.sock' },
        db: 3,
        shown: 'unix:///run/redis.sock',
      },
    );
    assert.deepEqual(of('/run/redis.sock').place, { path: '/run/redis.sock' });
  });

  test('has a user and a password, which it does not show', () => {
    const { username, password, shown } = of('rediss://fleet:p%40ss@redis.example/1');
    assert.deepEqual({ username, password }, { username: 'fleet', password: 'p@ss' });
    assert.equal(shown, 'rediss://redis.example:6379/1');
    assert.equal(of('redis://:secret@redis.example').username, null);
  });

  test('names the field and not the value where it is wrong', () => {
    const wrong = [
      '',
      'redis.example:6379',
      'http://:secret@redis.example',
      'redis://',
      'unix:///',
      'redis://x/secret',
    ];
    for (const url of wrong) {
      assert.throws(
        () => of(url),
        ({ message }: Error) => message.startsWith('REDIS_URL: ') && !message.includes('secret'),
        url,
      );
    }
  });
});
