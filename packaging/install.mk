# make install, make uninstall. Variables: DESTDIR, PREFIX, NODE, UNAME, SERVICE_USER, SERVICE_GROUP;
# packaging/install.sh says what each is for. Neither target builds: `make build && sudo make install`.
UNAME ?= $(shell uname -s)
PREFIX ?= /usr/local
export DESTDIR PREFIX NODE UNAME SERVICE_USER SERVICE_GROUP

.PHONY: install uninstall
install:
	@sh packaging/install.sh install

uninstall:
	@sh packaging/install.sh uninstall
