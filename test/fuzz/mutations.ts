import { corpusScript, goesOnSending } from './corpus.js';
import type { Script } from './script.js';
import type { Plant } from './variant.js';

/** Guards of the daemon that are taken out. Where one would do in the place of another, both are. */
export interface Mutation {
  /** What is wrong then. */
  readonly fault: string;
  readonly mode: 'balance' | 'reload' | 'sticky-address' | 'sticky-cookie';
  readonly plants: readonly Plant[];
  /** It notices, though perhaps not at every play: what has to happen is that a connection moves, or a worker drains. */
  readonly script: Script;
}

/** Finds most of these faults as a worker begins, and then nothing moves. */
const selfTest = out('worker/transfer/moving.js', { text: 'if (failure === null)', instead: 'if (true)' });
const inMessage = out('worker/connections/connection-handle.js', { text: 'if (isInMessage(socket))' });
const unread = out('worker/connections/connection-handle.js', { text: 'if (hasUnreadRequest(socket))' });
const parseError = out('worker/connections/connection-handle.js', { text: 'if (hasParseError(socket))' });
const pinned = out('worker/transfer/hand-on.js', { text: 'if (connectionOf(socket).isPinned)' });
const listeners = out('worker/transfer/hand-on.js', { text: 'if (hasForeignListeners(socket))' });

/** In which a connection moves in the middle of a message. */
export const unguarded: readonly Plant[] = [inMessage, parseError];

export const mutations: readonly Mutation[] = [
  {
    fault: 'a connection moves within the body of a request that asked for an upgrade',
    mode: 'balance',
    plants: [selfTest, inMessage, parseError, unread, pinned],
    script: corpusScript('a body behind the early answer to an upgrade that nobody takes'),
  },
  {
    fault: 'a connection moves within the head behind a request that asked for an upgrade',
    mode: 'balance',
    plants: [selfTest, inMessage, parseError, unread, pinned],
    script: corpusScript('a slow head behind an upgrade that nobody takes'),
  },
  {
    fault: 'a connection moves within a head',
    mode: 'balance',
    plants: [selfTest, ...unguarded],
    script: corpusScript('a slow head'),
  },
  {
    fault: 'a connection moves behind a mistake that is still to be answered',
    mode: 'balance',
    plants: [selfTest, inMessage, parseError, unread, listeners],
    script: corpusScript('a request behind a mistake that is answered late'),
  },
  {
    fault: 'every worker counts the requests of a connection anew',
    mode: 'balance',
    plants: [out('worker/transfer/hand-on.js', { text: 'if (countsRequests(serverOf(socket)))' })],
    script: corpusScript('more requests than one connection may carry'),
  },
  {
    fault: 'with every worker the time that a kept connection has begins anew',
    mode: 'balance',
    plants: [
      out('worker/transfer/hand-on.js', {
        text: 'const silence = silenceLeft(socket);',
        instead: 'const silence = socket.timeout ?? null;',
      }),
    ],
    script: corpusScript('a kept connection on which nothing comes'),
  },
  {
    fault: 'connections move that the app looks at before node:http does',
    mode: 'balance',
    plants: [out('worker/transfer/hand-on.js', { text: 'return !isOwn;', instead: 'return true;' })],
    script: corpusScript('whose connection it is, which the app has read itself (fronted)'),
  },
  {
    fault: 'connections move that the app has passed from one of its servers to another',
    mode: 'balance',
    plants: [out('worker/transfer/hand-on.js', { text: 'cameByDetour(socket))\n', instead: 'false)\n' })],
    script: corpusScript('whose connection it is, which the app has read itself (detour)'),
  },
  {
    fault: 'a worker that drains says close before it has answered all that came in one piece',
    mode: 'reload',
    plants: [
      out('worker/drain/closing.js', { text: 'return !hasMore(', instead: 'return true || !hasMore(' }),
    ],
    script: corpusScript('two by two in one piece'),
  },
  {
    fault: 'a worker that drains cuts off a client that reads slowly',
    mode: 'reload',
    plants: [
      out('worker/drain/drain.js', {
        text: 'return isHttpBusy(socket) || socket.writableLength > 0 || isLingering(socket);',
        instead: 'return false;',
      }),
    ],
    script: corpusScript('a client that reads slowly'),
  },
  {
    fault: 'a worker that drains cuts off an upload that is answered early',
    mode: 'reload',
    plants: [out('worker/drain/closing.js', { text: 'if (!keepOpen(response))', instead: 'if (true)' })],
    script: corpusScript('an answer to half of an upload, read later'),
  },
  {
    fault: 'a worker that drains resets a client that goes on sending behind the last answer',
    mode: 'reload',
    plants: [
      out('worker/drain/closing.js', {
        text: 'if (limit === 0 || !ignoreRequests(socket))',
        instead: 'if (true)',
      }),
    ],
    script: goesOnSending,
  },
  {
    fault: 'a worker that drains executes what comes behind an answer that said close',
    mode: 'reload',
    plants: [out('worker/drain/closing.js', { text: 'if (arrivals.has(name)', instead: 'if (false' })],
    script: corpusScript('requests behind an upload that is answered early'),
  },
  {
    fault: 'a server takes more connections than it may, where they come from another worker',
    mode: 'sticky-address',
    plants: [
      out('worker/connections/connection-handle.js', {
        text: 'if (accept === undefined)',
        instead: 'if (true)',
      }),
    ],
    script: corpusScript('one connection more than the server takes'),
  },
  {
    fault: 'a worker waits for the rest of a head, to find a cookie in it, for longer than the server would',
    mode: 'sticky-cookie',
    plants: [
      out('worker/transfer/read-head.js', {
        text: 'setTimeout(finish, Math.min(restLimit, limit))',
        instead: 'setTimeout(finish, 60_000)',
      }),
    ],
    script: corpusScript('a head that does not go on'),
  },
];

function out(file: string, { text, instead = 'if (false)' }: { text: string; instead?: string }): Plant {
  return { file, text, instead };
}
