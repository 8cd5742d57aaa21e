import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import {
  type BackplaneAnswer,
  type BackplaneMessage,
  type BackplaneOrder,
  type BackplaneSettings,
  backplaneDirectory,
  backplaneSocketOf,
  backplaneVariable,
  isBackplaneMessage,
  type Question,
} from '../protocol/backplane-process.js';
import { type FleetEvent, type FleetOrder, type FleetSettings, isInFleet } from '../protocol/fleet.js';
import type { Config } from '../settings/config.js';
import { type CompanionHandle, type CompanionSeam, createCompanion, spawnCompanion } from './companion.js';
import { serviceName } from './log-source.js';

/** The process of the backplane, from the master's side: started when somebody wants it, and again whenever it ends. */
export interface Backplane {
  /** Starts it, unless it was. */
  want(): void;
  /** Whether it was ever wanted. */
  wanted(): boolean;
  /** Asks it, starting it first. Rejects where it does not answer within `limitMs`: 10 s unless given. */
  ask(question: Question, limitMs?: number): Promise<unknown>;
  /** Tells it, where it runs. */
  order(order: FleetOrder): void;
  /** @param onUp hears each time that it runs */
  connectFleet(listener: { onEvent(event: FleetEvent): void; onUp(): void }): void;
  end(): void;
}

export type BackplaneSurroundings = Pick<BackplaneSettings, 'version'> &
  Pick<CompanionSeam<BackplaneMessage>, 'after' | 'now' | 'info' | 'warn'>;

/** Of its heap, MiB: it keeps the jobs that wait. */
const heapLimit = 512;
/** Apps wait for it: the waits before it is started again are short, ms. */
const firstDelay = 100;
const longestDelay = 2_000;
/** How long it may take to answer, its start included, ms. */
const patience = 10_000;

export function createBackplane(
  config: Pick<Config, 'controlSocket' | 'stateDir' | 'fleet'>,
  { version, after, ...seam }: BackplaneSurroundings,
): Backplane {
  const { controlSocket, stateDir } = config;
  const settings: BackplaneSettings = {
    name: serviceName(),
    version,
    socket: backplaneSocketOf(controlSocket),
    fleet: fleetSettings(config),
    directory: backplaneDirectory(stateDir),
  };
  let handle: (CompanionHandle & { send(message: BackplaneOrder): void }) | null = null;
  let isUp = false;
  let begun = false;
  let last = 0;
  let fleet: Parameters<Backplane['connectFleet']>[0] | null = null;
  const asked = new Map<number, { order: BackplaneOrder; take: (answer: BackplaneAnswer) => void }>();
  const companion = createCompanion<BackplaneMessage>({
    ...seam,
    after,
    what: 'the backplane',
    where: settings.socket,
    firstDelay,
    longestDelay,
    spawn: (on) => {
      handle = spawnCompanion(
        {
          main: fileURLToPath(new URL('../backplane/main.js', import.meta.url)),
          variable: backplaneVariable,
          settings,
          heapLimit,
          isMessage: isBackplaneMessage,
        },
        {
          ...on,
          onMessage: (message) => {
            on.onMessage(message);
            if (message.type !== 'listening') return;
            isUp = true;
            fleet?.onUp();
            for (const { order } of asked.values()) handle?.send(order);
          },
        },
      );
      return handle;
    },
    onOther: (message) => {
      if (message.type === 'info') seam.info(message.message);
      else if (message.type === 'fleet') fleet?.onEvent(message.event);
      else asked.get(message.id)?.take(message.answer);
    },
    onEnd: () => {
      isUp = false;
    },
  });
  const want = (): void => {
    if (begun) return;
    begun = true;
    companion.begin();
  };
  return {
    want,
    wanted: () => begun,
    order: (order) => {
      if (isUp) handle?.send({ type: 'fleet', order });
    },
    connectFleet: (listener) => {
      fleet = listener;
    },
    ask: (question, limitMs = patience) => {
      want();
      const id = ++last;
      const order: BackplaneOrder = { type: 'ask', id, question };
      return new Promise((resolve, reject) => {
        const forget = after(limitMs, () => {
          asked.delete(id);
          reject(new Error(`the backplane did not answer within ${limitMs / 1_000} s`));
        });
        asked.set(id, {
          order,
          take: (answer) => {
            forget();
            asked.delete(id);
            if (answer.ok) resolve(answer.value);
            else reject(new Error(answer.reason));
          },
        });
        if (isUp) handle?.send(order);
      });
    },
    end: companion.end,
  };
}

function fleetSettings(config: Pick<Config, 'fleet'>): FleetSettings | null {
  if (!isInFleet(config.fleet)) return null;
  const { redisUrl, redisUrlFile, name, host, tlsCa, canaryHost } = config.fleet;
  return { redisUrl, redisUrlFile, name, host: host ?? hostname(), tlsCa, canaryHost };
}
