import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  isStarved,
  type Look,
  type LookSeam,
  lookAt,
  waitsFor,
} from '../../../../src/master/diagnostics/process-look.js';
import { fakeFiles } from '../../../support/load-input.js';

function seam(files: Readonly<Record<string, string>>, now = 0): LookSeam {
  return { readFile: fakeFiles(files), now: () => now, platform: 'linux' };
}

describe('a look at a process', () => {
  test('finds its state behind a name that holds a parenthesis, and its CPU time', async () => {
    const files = { '/proc/7/stat': '7 (a) S (b) T 1 7 7 0\n', '/proc/7/schedstat': '12500000 300 5\n' };
    assert.deepEqual(await lookAt(7, seam(files, 40)), { state: 'T', ran: 12.5, at: 40 });
  });

  test('goes without the CPU time where the kernel does not say', async () => {
    assert.deepEqual(await lookAt(7, seam({ '/proc/7/stat': '7 (node) R 1' })), {
      state: 'R',
      ran: null,
      at: 0,
    });
  });

  test('finds nobody where there is no such process', async () => {
    assert.equal(await lookAt(7, seam({})), null);
  });
});

describe('a starved process', () => {
  const look = (at: number, ran: number | null, state = 'R'): Look => ({ at, ran, state });

  for (const [what, before, after, starved] of [
    ['runs for less than a twentieth of the time', look(0, 100), look(200, 104), true],
    ['does not run at all', look(0, 100), look(200, 100), true],
    ['runs for a fifth of the time, as one that spins beside others', look(0, 100), look(200, 140), false],
    ['was seen for too short a time to tell', look(0, 100), look(50, 100), false],
    ['sleeps', look(0, 100, 'S'), look(200, 100, 'R'), false],
    ['slept at last', look(0, 100), look(200, 100, 'S'), false],
    ['is one whose CPU time is unknown', look(0, null), look(200, null), false],
  ] as const) {
    test(`is ${starved ? '' : 'not '}one that ${what}`, () => {
      assert.equal(isStarved(before, after), starved);
    });
  }
});

describe('what a process waits for', () => {
  test('is its place in the kernel and its children', () => {
    const files = {
      '/proc/7/wchan': 'do_epoll_wait',
      '/proc/7/task/7/children': '8 9 ',
      '/proc/8/cmdline': '/bin/sh\0-c\0sleep 30\0',
    };
    assert.equal(
      waitsFor(7, seam(files), true),
      'it waits in do_epoll_wait; its children are "/bin/sh -c sleep 30" (pid 8), "" (pid 9)',
    );
  });

  test('is told by the names of programs alone, whose arguments may be secret', () => {
    const files = {
      '/proc/7/task/7/children': '8 9 10 ',
      '/proc/8/cmdline': '/usr/bin/mysqldump\0-u\0shop\0-pSECRET\0',
      '/proc/9/cmdline': 'postgres: shop SECRET 10.0.0.1\0',
      '/proc/10/cmdline': 'sleep\x0030\0',
    };
    assert.equal(
      waitsFor(7, seam(files), false),
      'its children are "mysqldump" with 3 arguments (pid 8), "postgres:" (pid 9), "sleep" with 1 argument (pid 10)',
    );
  });

  test('is unknown where the kernel does not say', () => {
    assert.equal(waitsFor(7, seam({ '/proc/7/wchan': '0' }), true), null);
  });

  test('is told in short, however long the command line', () => {
    const files = { '/proc/7/task/7/children': '8', '/proc/8/cmdline': 'x'.repeat(5_000) };
    assert.equal(waitsFor(7, seam(files), true)?.length, 'its child is "" (pid 8)'.length + 120);
  });
});
