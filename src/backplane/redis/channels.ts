import { randomUUID } from 'node:crypto';
import type { Json } from '../engine.js';
import type { Connection } from './connection.js';

/**
 * Broadcast by Redis' pub/sub: at most once. Who subscribes on this host hears a message at once and without Redis; other
 * hosts hear it while Redis is there, and nothing of what was said while it was not.
 */
export interface Channels {
  publish(channel: string, message: Json): Promise<void>;
  subscribe(channel: string, take: (message: Json) => void): () => void;
}

export function redisChannels(connection: Connection, prefix: string): Channels {
  const { main, listener } = connection;
  const self = randomUUID();
  const takers = new Map<string, Set<(message: Json) => void>>();
  const nameOf = (channel: string): string => `${prefix}channel:${channel}`;
  const deliver = (channel: string, message: Json): void => {
    for (const take of [...(takers.get(channel) ?? [])]) take(message);
  };
  listener.on('message', (name: string, text: string) => {
    const channel = name.slice(nameOf('').length);
    if (!takers.has(channel)) return;
    const sent = parsed(text);
    // What this host said it has heard already.
    if (sent !== null && sent.from !== self) deliver(channel, sent.message);
  });
  return {
    publish: async (channel, message) => {
      deliver(channel, message);
      if (!connection.isConnected()) return;
      // Lost on the way to Redis is as lost as on the way from it.
      await main.publish(nameOf(channel), JSON.stringify({ from: self, message })).catch(() => {});
    },
    subscribe: (channel, take) => {
      const those = takers.get(channel) ?? new Set();
      takers.set(channel, those.add(take));
      // ioredis subscribes again after each reconnection.
      if (those.size === 1) void listener.subscribe(nameOf(channel)).catch(() => {});
      return () => {
        those.delete(take);
        if (those.size > 0 || takers.get(channel) !== those) return;
        takers.delete(channel);
        void listener.unsubscribe(nameOf(channel)).catch(() => {});
      };
    },
  };
}

function parsed(text: string): { readonly from: string; readonly message: Json } | null {
  try {
    const { from, message } = JSON.parse(text) as { from?: unknown; message?: Json };
    return typeof from === 'string' && message !== undefined ? { from, message } : null;
  } catch {
    return null;
  }
}
