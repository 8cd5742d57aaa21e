import { Choices } from './random.js';
import { badRequests, goodRequests, RequestWriter } from './requests.js';
import { clientLine, onePiece, type Script, type ServerName, type Step } from './script.js';

/** See maxRequestsPerSocket in test/fixtures/fuzz/app.cjs. */
const requestLimit = 6;

/**
 * A script that its seed alone decides. What a server answers to it does not depend on time, so that it is the same at
 * every play: a client waits for what it is owed before it sends what the server may answer in another way, or not read.
 */
export function generate(seed: number, servers: readonly ServerName[]): Script {
  return new Generator(seed, new Choices(seed).pick(servers)).script();
}

class Generator {
  readonly #seed: number;
  readonly #server: ServerName;
  readonly #choices: Choices;
  readonly #writer: RequestWriter;
  readonly #steps: Step[] = [];
  #sure: number | undefined;
  /** Node does not tell of mistakes in what follows an upgrade that nobody takes, until the next head is whole. */
  #isTolerant = false;
  /** Nothing more may be sent. */
  #isOver = false;

  constructor(seed: number, server: ServerName) {
    this.#seed = seed;
    this.#server = server;
    // Not those that have chosen the server.
    this.#choices = new Choices(seed ^ 0x5eed);
    this.#writer = new RequestWriter(this.#choices);
  }

  script(): Script {
    const choices = this.#choices;
    if (this.#server === 'fronted' || this.#server === 'detour') this.#send(clientLine);
    if (choices.chance(0.12)) this.#steps.push({ slowRead: choices.int(50, 600) });
    for (let rounds = choices.int(1, 5); rounds > 0 && !this.#isOver && !this.#isFull(); rounds--)
      this.#round();
    const end = this.#end();
    const name = `seed ${this.#seed}: ${end}`;
    const sure = this.#sure === undefined ? {} : { sure: this.#sure };
    return { name, server: this.#server, steps: this.#steps, requests: this.#writer.requests, ...sure };
  }

  /** Some requests, their answers, and a rest. */
  #round(): void {
    const choices = this.#choices;
    const kind = choices.next();
    if (kind < 0.1) this.#expect();
    else if (kind < 0.25 && this.#leavesUpgrades()) this.#upgradeNobodyTakes();
    else {
      this.#fragments(this.#pipelined());
      this.#isTolerant = false;
    }
    this.#owed();
    if (this.#isFull() || this.#isOver) return;
    this.#rest();
    if (choices.chance(0.05)) this.#send(choices.pick(['\r\n', '\r\n\r\n']));
    if (choices.chance(0.2)) this.#rest();
  }

  #pipelined(): string {
    const choices = this.#choices;
    const room = this.#server === 'limit' ? requestLimit - this.#writer.requests.length : 5;
    const count = choices.chance(0.35) && !this.#isTolerant ? choices.int(1, room) : 1;
    const write = Object.values(goodRequests);
    return Array.from({ length: count }, () => choices.pick(write)(this.#writer, choices)).join('');
  }

  #expect(): void {
    const text = this.#writer.body(400);
    const head = this.#writer.withLength('/echo', text, 'Expect: 100-continue\r\n');
    this.#send(head.slice(0, head.length - text.length));
    this.#rest();
    this.#send(text);
  }

  /** Node throws away what comes behind such a head in one read with it: what follows waits for the answer. */
  #upgradeNobodyTakes(): void {
    const choices = this.#choices;
    this.#isTolerant = true;
    const fields = `Connection: Upgrade\r\nUpgrade: ${choices.pick(['h2c', 'websocket', 'x'])}\r\n`;
    if (choices.chance(0.5)) {
      const method = choices.pick(['GET', 'POST']);
      return this.#send(
        this.#writer.head({ method, path: '/echo', fields: `${fields}Content-Length: 0\r\n` }),
      );
    }
    const text = `${this.#writer.body(60)}${this.#writer.smuggled()}`;
    const path = choices.pick(['/early', '/slow?ms=30']);
    const whole = this.#writer.withLength(path, text, fields);
    const smuggledAt = text.lastIndexOf('GET /smuggled');
    const first = choices.chance(0.5) ? smuggledAt : choices.int(0, smuggledAt);
    const cut = whole.length - text.length + first;
    this.#send(whole.slice(0, cut));
    this.#owed();
    this.#rest();
    this.#fragments(whole.slice(cut));
    // Whether Node reads what follows depends on whether it comes in one read with the end of this body.
    this.#isOver = true;
    this.#sure = this.#writer.requests.length;
  }

  #end(): string {
    const ways = ['close', 'half', 'bad', 'bad', 'destroy', 'cut', 'abort', 'end inside'];
    if (this.#takesUpgrades()) ways.push('upgrade', 'upgrade', 'connect', 'refusal');
    if (this.#server === 'timeouts') ways.push('idle', 'idle', 'idle', 'late head', 'late body');
    if (this.#server === 'late') ways.push('bad', 'bad', 'bad', 'bad');
    const isQuiet = this.#isFull() || this.#isTolerant;
    const way = isQuiet ? 'half' : this.#choices.pick(ways);
    this.#ends[way]?.();
    return way;
  }

  readonly #ends: Readonly<Record<string, () => void>> = {
    close: () => {
      const path = this.#choices.pick(['/echo', '/early', '/big?n=900']);
      const fields = 'Connection: close\r\nContent-Length: 0\r\n';
      this.#fragments(this.#writer.head({ method: this.#choices.pick(['GET', 'POST']), path, fields }));
      this.#push({ close: true });
    },
    half: () => this.#push({ end: true }),
    bad: () => this.#bad(),
    destroy: () => this.#endedByServer(`/destroy?ms=${this.#choices.int(0, 200)}`),
    cut: () => this.#endedByServer(`/half?ms=${this.#choices.int(50, 200)}`),
    abort: () => {
      this.#sure = this.#writer.requests.length;
      this.#send(this.#writer.head({ method: 'GET', path: `/big?n=${this.#choices.int(10, 2_000_000)}` }));
      this.#push({ pause: this.#choices.int(0, 30) }, { abort: true });
    },
    'end inside': () => {
      const text = this.#writer.withLength('/echo', this.#writer.body());
      this.#send(text.slice(0, this.#choices.int(1, text.length - 1)));
      this.#rest();
      this.#push({ end: true });
    },
    refusal: () => {
      const fields = 'Expect: 100-continue\r\nContent-Length: 9\r\n';
      this.#send(this.#writer.head({ method: 'POST', path: '/refuse', fields }));
      this.#push({ close: true });
    },
    upgrade: () => this.#tunnel('GET', '/chat', 'Connection: Upgrade\r\nUpgrade: echo\r\n'),
    connect: () => this.#tunnel('CONNECT', 'example.test:443', ''),
    idle: () => this.#push({ close: true }),
    'late head': () => {
      const head = this.#writer.head({ method: 'GET', path: '/echo' });
      this.#send(head.slice(0, this.#choices.int(1, 20)));
      this.#push({ close: true });
    },
    'late body': () => {
      this.#send(
        `${this.#writer.head({ method: 'POST', path: '/echo', fields: 'Content-Length: 500\r\n' })}some`,
      );
      this.#push({ close: true });
    },
  };

  /** On the server "late" more is sent, but not where Node closes by itself. */
  #bad(): void {
    const choices = this.#choices;
    const before = this.#writer.requests.length;
    const kinds = Object.keys(badRequests).filter((kind) => this.#server !== 'late' || kind !== 'noHost');
    const text = badRequests[choices.pick(kinds)]?.(this.#writer, choices) ?? '';
    if (text.length > onePiece || choices.chance(0.4)) {
      this.#sure = before;
      this.#fragments(text);
    } else this.#send(text);
    if (this.#server === 'late') {
      this.#rest();
      this.#send(this.#writer.smuggled());
    }
    this.#push({ answers: before + 1 }, { end: true });
  }

  #endedByServer(path: string): void {
    this.#send(this.#writer.head({ method: 'GET', path }));
    this.#push({ close: true });
  }

  #tunnel(method: string, path: string, fields: string): void {
    const text = this.#writer.head({ method, path, fields });
    this.#fragments(this.#choices.chance(0.5) ? `${text}early bytes` : text);
    this.#owed();
    for (let frames = this.#choices.int(0, 3); frames > 0; frames--) {
      this.#send(`frame ${frames} ${this.#writer.body(50)}`);
      this.#rest();
    }
    this.#push({ end: true });
  }

  /** In pieces, with rests between them. */
  #fragments(text: string): void {
    const choices = this.#choices;
    const way = choices.pick(['whole', 'whole', 'bytes', 'few', 'few', 'slow']);
    if (way === 'whole' || text.length < 2) return this.#send(text);
    const cuts =
      way === 'bytes' ? every(Math.min(text.length, 200)) : this.#cuts(text, way === 'slow' ? 2 : 6);
    let at = 0;
    for (const cut of [...cuts, text.length]) {
      const rests = way === 'bytes' ? choices.chance(0.04) : true;
      if (at > 0 && rests) this.#push({ pause: way === 'slow' ? choices.int(50, 250) : choices.int(1, 20) });
      if (cut > at) this.#send(text.slice(at, cut));
      at = cut;
    }
  }

  #cuts(text: string, most: number): number[] {
    const cuts = Array.from({ length: this.#choices.int(1, most) }, () =>
      this.#choices.int(1, text.length - 1),
    );
    return [...new Set(cuts)].sort((a, b) => a - b);
  }

  /** The answers to all that was sent. */
  #owed(): void {
    this.#push({ answers: this.#writer.requests.length });
  }

  #rest(): void {
    this.#push({
      pause: this.#choices.chance(0.3) ? this.#choices.int(150, 350) : this.#choices.int(10, 150),
    });
  }

  #send(text: string): void {
    this.#push({ send: text });
  }

  #push(...steps: Step[]): void {
    this.#steps.push(...steps);
  }

  #takesUpgrades(): boolean {
    return this.#server === 'listeners' || this.#server === 'unix';
  }

  /** Over TLS it depends on the records in which they come. */
  #leavesUpgrades(): boolean {
    return !this.#takesUpgrades() && this.#server !== 'tls';
  }

  #isFull(): boolean {
    return this.#server === 'limit' && this.#writer.requests.length >= requestLimit;
  }
}

function every(count: number): number[] {
  return Array.from({ length: count - 1 }, (_, place) => place + 1);
}
