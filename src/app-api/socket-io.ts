import { createRequire } from 'node:module';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { EngineError, type Json } from '../backplane/engine.js';
import { findOwn } from './find.js';
import type * as Face from './socket-io-face.js';

/** What socket.io-adapter's base class has for those that extend it, and what of it is used here. */
interface ClusterAdapter {
  readonly uid: string;
  onMessage(message: unknown): void;
  onResponse(response: unknown): void;
  close(): void;
}

type ClusterAdapterClass = new (namespace: object, options: object) => ClusterAdapter;

export const socketIoAdapter: typeof Face.socketIoAdapter = (options = {}) => {
  const Adapter = extend(loadBase());
  // Socket.IO calls it with `new`.
  return function create(namespace: object) {
    return new Adapter(namespace, options);
  } as (namespace: object) => never;
};

function extend(Base: ClusterAdapterClass): ClusterAdapterClass {
  const { engine } = findOwn();
  return class BackplaneAdapter extends Base {
    readonly #channel: string;
    readonly #ends: readonly (() => void)[];

    constructor(namespace: object, options: object) {
      super(namespace, options);
      this.#channel = `socket.io#${(namespace as { readonly name: string }).name}`;
      this.#ends = [
        engine.subscribe(this.#channel, (message) => this.onMessage(decode(message))),
        engine.subscribe(`${this.#channel}#${this.uid}`, (message) => this.onResponse(decode(message))),
      ];
    }

    async doPublish(message: unknown): Promise<string> {
      await engine.publish(this.#channel, encode(message));
      return '';
    }

    async doPublishResponse(requester: string, response: unknown): Promise<void> {
      await engine.publish(`${this.#channel}#${requester}`, encode(response));
    }

    override close(): void {
      super.close();
      for (const end of this.#ends) end();
    }
  };
}

/** Packets may have buffers in them. */
function encode(message: unknown): Json {
  if (hasBinary(message)) return { binary: serialize(message).toString('base64') };
  return { json: JSON.parse(JSON.stringify(message)) as Json };
}

function decode(message: Json): unknown {
  const { json, binary } = message as { readonly json?: Json; readonly binary?: string };
  return binary === undefined ? json : deserialize(Buffer.from(binary, 'base64'));
}

function hasBinary(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return true;
  return (Array.isArray(value) ? value : Object.values(value)).some(hasBinary);
}

/** The one that belongs to the app's Socket.IO: package managers may keep it out of this package's reach. */
function loadBase(): ClusterAdapterClass {
  const places = [process.argv[1], join(process.cwd(), 'app.js'), import.meta.url];
  for (const place of places) {
    if (place === undefined) continue;
    try {
      const from = createRequire(createRequire(place).resolve('socket.io'));
      const { ClusterAdapterWithHeartbeat } = from('socket.io-adapter') as {
        readonly ClusterAdapterWithHeartbeat?: ClusterAdapterClass;
      };
      if (ClusterAdapterWithHeartbeat !== undefined) return ClusterAdapterWithHeartbeat;
    } catch {
      // Not from there.
    }
  }
  throw new EngineError(
    'missing',
    'the package socket.io 4.7 or later was not found beside the app; install it: npm install socket.io',
  );
}
