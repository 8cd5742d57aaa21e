import type { Figure } from './rounds.js';

/** Requests a second, CPU and failures under one kind of load. */
export interface LoadFigures {
  readonly rate: Figure;
  /** Master and workers. */
  readonly cpu: Figure;
  /** The part of the master in it. */
  readonly master: Figure;
  readonly failed: Figure;
}

function load(name: string): LoadFigures {
  return {
    rate: { name: `${name}, requests/s`, unit: '', digits: 0 },
    cpu: { name: `${name}, CPU us/request`, unit: 'us', digits: 1 },
    master: { name: `${name}, of it the master, us`, unit: 'us', digits: 1 },
    failed: { name: `${name}, failed`, unit: '', digits: 0 },
  };
}

export interface LatencyFigures {
  readonly p50: Figure;
  readonly p99: Figure;
  readonly p999: Figure;
}

function latency(name: string): LatencyFigures {
  const one = (share: string): Figure => ({ name: `${name}, ${share}, ms`, unit: 'ms', digits: 2 });
  return { p50: one('p50'), p99: one('p99'), p999: one('p99.9') };
}

function plain(name: string, digits: number): Figure {
  return { name, unit: '', digits };
}

export const figures = {
  keepAlive: load('keep-alive'),
  coldKeepAlive: load('keep-alive, first seconds'),
  perConnection: load('connection per request'),
  coldPerConnection: load('connection per request, first 10,000'),
  saturated: latency('latency as fast as it goes'),
  fixed: latency('latency at a fixed rate'),
  fixedFailed: plain('fixed rate, failed', 0),
  fixedCpu: plain('fixed rate, CPU us/request', 1),
  busiest: plain("busiest worker's share of 64 connections' requests, %", 0),
  idle: plain('memory idle, MB PSS', 1),
  idleMaster: plain('of it the master, MB PSS', 1),
  idleCpu: plain('idle, CPU ms/s', 2),
  afterLoad: plain('memory 15 s after load, MB PSS', 0),
  afterRest: plain('memory 60 s after load, MB PSS', 0),
  answer: plain('exec to the first answer, ms', 0),
  ready: plain('exec to all workers listening, ms', 0),
  reload: plain('reload of 2 workers, ms', 0),
  reloadLost: plain('requests lost in a reload', 0),
  replaced: plain('kill -9 of a worker to an answer of its replacement, ms', 0),
  killLost: plain('requests lost in a kill', 0),
  connectionMemory: plain('10,000 idle connections, kB each', 1),
  connectionCpu: plain('10,000 idle connections, CPU ms/s', 2),
  connectionRate: plain('keep-alive beside them, requests/s', 0),
} as const;

/** How many workers it grows to, and what that costs. */
export const sizes = [1, 8, 64] as const;

export function growth(workers: number): { memory: Figure; master: Figure; settled: Figure; cpu: Figure } {
  const of = `${workers} worker${workers === 1 ? '' : 's'}`;
  return {
    settled: plain(`${of}, exec until they rest, s`, 1),
    memory: plain(`${of}, MB PSS`, 0),
    master: plain(`${of}, of it the master, MB PSS`, 1),
    cpu: plain(`${of}, idle, CPU ms/s`, 1),
  };
}
