# make deb, make rpm, make tarball: from one tree, packages/stage-ARCH, that packaging/stage.sh puts together.
# PACKAGE_ARCH is x64 or arm64. The Node inside is pinned in packaging/runtime.
PACKAGE_ARCH ?= $(shell $(NODE) -p process.arch 2>/dev/null || echo x64)
STAGE_STAMP = packages/stage-$(PACKAGE_ARCH).stamp
export NPM

.PHONY: stage deb rpm tarball package-deps test-packages
stage: $(STAGE_STAMP)

$(STAGE_STAMP): dist/cli/main.js package-lock.json packaging/stage.sh packaging/production-modules.mjs packaging/rom-agent.toml \
		$(wildcard packaging/runtime/*.json packaging/man/* packaging/completion/* systemd/* docs/*/*.md *.md)
	@sh packaging/stage.sh $(PACKAGE_ARCH) && touch $@

deb: $(STAGE_STAMP) ## Package for Debian, with a Node of its own: packages/*.deb
	@sh packaging/deb/build.sh $(PACKAGE_ARCH)

rpm: $(STAGE_STAMP) ## Package for Fedora and its kin: packages/*.rpm
	@sh packaging/rpm/build.sh $(PACKAGE_ARCH)

tarball: $(STAGE_STAMP) ## The same for other Linux systems, with an install.sh: packages/*.tar.gz
	@sh packaging/tarball/build.sh $(PACKAGE_ARCH)

package-deps:
	@sh packaging/system-deps.sh packages

test-packages: build build/.stamp package-deps stage ## The packages in clean Debian 12 and 13, booted (root, and a network the first time)
	@PACKAGING=all $(NODE) --test build/test/system/packaging/install.test.js
	@$(NODE) --test --test-concurrency=1 build/test/system/packages/all.js
