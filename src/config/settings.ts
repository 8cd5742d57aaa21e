export * from '../settings/settings.js';
