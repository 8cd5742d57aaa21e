/**
 * What the master has workers started with, so that it can look into them: on a free port, and without a word on stderr.
 * The second is how node:cluster writes `inspectPort: 0`.
 */
export const quietInspector = '--inspect-publish-uid=http';
export const freeInspectorPort = '--inspect-port=0';
