export * from '../settings/config.js';
