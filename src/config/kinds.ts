export * from '../settings/kinds.js';
