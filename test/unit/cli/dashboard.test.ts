import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { browserProgram, instructions } from '../../../src/cli/look/dashboard.js';

const linux = { platform: 'linux' } as const;

describe('the browser of the dashboard', () => {
  test('is the one of the desktop', () => {
    assert.equal(browserProgram({ ...linux, env: { DISPLAY: ':0' } }), 'xdg-open');
    assert.equal(browserProgram({ ...linux, env: { WAYLAND_DISPLAY: 'wayland-0' } }), 'xdg-open');
    assert.equal(browserProgram({ platform: 'darwin', env: {} }), 'open');
  });

  test('is none without a display, and none at the other end of ssh', () => {
    assert.equal(browserProgram({ ...linux, env: {} }), null);
    assert.equal(browserProgram({ ...linux, env: { DISPLAY: ':0', SSH_CONNECTION: 'a 1 b 22' } }), null);
    assert.equal(browserProgram({ platform: 'darwin', env: { SSH_TTY: '/dev/ttys1' } }), null);
  });
});

describe('what to do with the URL', () => {
  const place = { ...linux, port: 34567, user: 'alice' };

  test('is to open it', () => {
    assert.equal(
      instructions({ ...place, env: {} }),
      'open this URL in a browser of this machine; Ctrl-C ends the dashboard',
    );
  });

  test('is to forward the port first, where ssh leads here', () => {
    const over = (connection: string) => instructions({ ...place, env: { SSH_CONNECTION: connection } });
    assert.match(
      over('10.0.0.9 51000 10.0.0.5 22'),
      / ssh -N -L 34567:127\.0\.0\.1:34567 alice@10\.0\.0\.5 and /,
    );
    assert.match(
      over('fe80::9 51000 fd00::5 2222'),
      / ssh -N -p 2222 -L 34567:127\.0\.0\.1:34567 alice@fd00::5 and /,
    );
  });
});
