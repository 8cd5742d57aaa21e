/** What `make test-packages` runs, one after the other: the machine of a suite is the same for all files. */
await import('./deb-file.js');
await import('./deb-life.js');
await import('./tarball.js');
await import('./rpm.js');
