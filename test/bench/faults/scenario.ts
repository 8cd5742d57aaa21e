import type { ClientGroup, Load } from '../../support/load.js';
import type { Machine, UnitProcess } from '../../system/systemd/booted-machine.js';
import type { Running, Setup } from './subject.js';

/** One way to do harm, and what is expected of a service to which it is done. */
export interface Scenario {
  /** For FAULTS_ONLY. */
  readonly name: string;
  readonly title: string;
  readonly setup?: Setup;
  /** Before the start; the folder `place` is there and empty. */
  readonly prepare?: (machine: Machine) => Promise<void>;
  /** Clients beside those that every scenario has. */
  readonly clients?: readonly ClientGroup[];
  /** What every client asks for, where that is not the usual. */
  readonly path?: string;
  /** How long a request may take before it counts as lost, ms. */
  readonly requestTimeout?: number;
  /** Whose death is the fault, or the cure that is expected: their requests may be lost. */
  readonly dies: 'nobody' | 'one worker' | 'the workers' | 'everybody';
  /** Other processes serve afterwards, and those before may lose nothing for that; a reload keeps the strength, too. */
  readonly replaces?: 'restart' | 'reload';
  /** How long until the service has its full strength again, ms; then that is a failure. */
  readonly patience: number;
  /** It is no matter of PM2's. */
  readonly withoutPm2?: true;
  /** Does the harm. Full strength is waited for after it. */
  readonly harm: (scene: Scene) => Promise<void>;
  /** Takes back what would otherwise outlast the scenario. */
  readonly heal?: (scene: Scene) => Promise<void>;
}

/** The service under load at the moment of the harm. */
export interface Scene {
  readonly machine: Machine;
  readonly service: Running;
  readonly load: Load;
  /** Connections that are known to be inside of a process that was stopped or killed, by this side's port. */
  readonly inside: Set<number>;
  /** PIDs to which the harm was done: they count again only if they answer later on. */
  readonly victims: Set<number>;
  /** The processes of the service before. */
  readonly before: Cast;
  /** Full strength counts from now on: where the harm itself takes time. */
  readonly begins: () => void;
}

export interface Cast {
  readonly master: UnitProcess;
  readonly workers: readonly UnitProcess[];
}
