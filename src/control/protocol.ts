/** The version of the routes; it is the first segment of every path. */
export const apiVersion = 'v1';

/** Every answer bears this header with `apiVersion`, by which a client knows whom it has reached. */
export const versionHeader = 'Rom-Agent-Control';

export const jsonType = 'application/json';
/** One JSON document a line; a blank line is a sign of life. */
export const linesType = 'application/x-ndjson';

/** A stream that has nothing else to say sends a blank line this often, ms. */
export const heartbeatInterval = 15_000;

/** Bytes that the path of a unix socket may have: sun_path without its NUL, unix(7) and unix(4) of macOS. */
export const longestSocketPath = process.platform === 'linux' ? 107 : 103;
