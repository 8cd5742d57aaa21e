// Becomes dist/deploy/main.js, which the master starts for each deploy.
require('./start.js');
