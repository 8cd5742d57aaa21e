// node open-loop.js URL RATE SECONDS: sends so many requests a second, whether answers come or not, and prints what came.
//
// A closed loop, such as wrk, sends nothing while the service is silent, so that a silence of a second makes one slow
// request of the hundreds that clients would have sent (coordinated omission). Here each connection has its turn at a
// constant rate; a request that finds its connection busy waits for it, and that wait is a part of its latency.
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AnswerReader } from './answer-reader.js';

const connections = 64;
/** For what is under way at the end, ms. */
const patience = 5_000;

const [, , address = '', rate = '', seconds = ''] = process.argv;
const url = new URL(address);
const request = `GET ${url.pathname} HTTP/1.1\r\nHost: bench\r\n\r\n`;

const latencies: number[] = [];
const byWorker: Record<string, number> = {};
let failed = 0;
let waiting = 0;

class Connection {
  #reader = new AnswerReader();
  readonly #due: number[] = [];
  #socket: Socket | null = null;

  constructor() {
    this.#connect();
  }

  send(due: number): void {
    waiting += 1;
    this.#due.push(due);
    if (this.#due.length === 1) this.#write();
  }

  close(): void {
    this.#due.length = 0;
    this.#socket?.destroy();
  }

  #write(): void {
    if (this.#socket === null || this.#socket.destroyed) this.#connect();
    this.#socket?.write(request);
  }

  #connect(): void {
    this.#reader = new AnswerReader();
    const socket = connect({ port: Number(url.port), host: '127.0.0.1', noDelay: true });
    socket.on('data', (chunk) => {
      const answer = this.#reader.add(chunk);
      if (answer !== null) this.#answered(answer);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (socket === this.#socket && this.#due.length > 0) this.#answered({ ok: false, worker: null });
    });
    this.#socket = socket;
  }

  #answered({ ok, worker }: { ok: boolean; worker: string | null }): void {
    const due = this.#due.shift();
    if (due === undefined) return;
    waiting -= 1;
    if (ok) latencies.push(performance.now() - due);
    else failed += 1;
    if (worker !== null) byWorker[worker] = (byWorker[worker] ?? 0) + 1;
    if (this.#due.length > 0) this.#write();
  }
}

const all = Array.from({ length: connections }, () => new Connection());
await sleep(200);
const began = performance.now();
const total = Number(rate) * Number(seconds);
let sent = 0;
while (sent < total) {
  await sleep(1);
  // The time of the tick: that a timer of this client is late is none of the service's latency.
  const now = performance.now();
  const due = Math.min(total, Math.floor(((now - began) * Number(rate)) / 1_000));
  for (; sent < due; sent += 1) all[sent % connections]?.send(now);
}
const deadline = performance.now() + patience;
while (waiting > 0 && performance.now() < deadline) await sleep(5);
failed += waiting;
for (const connection of all) connection.close();

latencies.sort((a, b) => a - b);
const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
const latency = { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
process.stdout.write(`${JSON.stringify({ requests: latencies.length, failed, latency, byWorker })}\n`);
