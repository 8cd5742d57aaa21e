/** A duration or a point on the monotonic clock, in milliseconds. */
export type Millis = number;

/** A service cannot have more workers than this. */
export const mostWorkers = 1024;

/** A worker that has failed answers the requests that it has for at most this long; the master kills it afterwards. */
export const lastAnswers: Millis = 2_000;
/** Between the deadline of a worker's drain and its kill, so that the worker can end by itself. */
export const killGrace: Millis = 1_000;
/** A killed worker that is still there after this time is left behind: it is in an uninterruptible sleep. */
export const reapGrace: Millis = 5_000;
/** A worker that was told to hand connections on tries for this long; a heartbeat from before that may count too many. */
export const settleTime: Millis = 250;

/** How long a CPU profile may take, and takes unless the caller says so, seconds. */
export const longestProfile = 600;
export const usualProfile = 10;
/** A worker gets this much more time than the profile itself takes. */
export const profileGrace: Millis = 5_000;
/** A heap snapshot may take this long. */
export const snapshotLimit: Millis = 300_000;

/** The master looks at the clock at least this often, and so notices when its own event loop was stalled. */
export const tickInterval: Millis = 1_000;
/** How often the master asks systemd for more time to start or to stop, and for how much: sd_notify(3). */
export const extendInterval: Millis = 5_000;
export const extendBy: Millis = 15_000;

/** How long one attempt to notify somebody may take. */
export const notifyLimit: Millis = 30_000;

/** The log line of a worker that was cut off after its drain, because the app's handlers did not end it. */
export const ownEndingCut = "the app's own ending did not end: cut at the deadline";
