# make            build the module into build/
# make demo       install what is missing, build, run the main job against a local simulator
# make test       the same, then lint, a part of the checks, and all specs
# make test-big   results of 2 GiB in a few MiB of memory
# make check      all that watches: check-static, -asan, -tsan, -valgrind, -gc, -api, -clang, -portable, -musl, -cjson
# make torture    every allocation and every system call fails once, under sanitizers
# make fuzz SECONDS=60   made-up inputs for each target of spec/fuzz
# make soak MINUTES=10   whole jobs while a request in twenty goes wrong: nothing lost, wrong, stuck or grown
# make bench      how fast it is, beside libcurl and others; WORK=W3: only the works whose names begin so
# make lint       luacheck, the compilers' warnings; clang-format and the Lua language server where they are installed
# make doc        the manual page, by help2man; the tables of README.md and REFERENCE.md, and the plots, by gnuplot
# make install    DESTDIR= PREFIX=/usr/local; make uninstall with the same takes it back
#
# LUA, LUA_INCDIR, CURL_CFLAGS, CURL_LIBS, ISAL, CC, CFLAGS and LDFLAGS can be set from outside.

# What a Debian-like system needs; elsewhere `make deps` prints what to install.
DEBIAN_PACKAGES = gcc make pkg-config lua5.4 liblua5.4-dev libcurl4-openssl-dev zlib1g-dev libisal-dev \
  lua-cjson lua-argparse lua-expat lua-socket lua-sec lua-zlib openssl
DEBIAN_PACKAGES_FOR_EXTRACTION = lua-dbi-sqlite3 lua-luaossl lua-filesystem sqlite3
DEBIAN_PACKAGES_FOR_DOC = help2man
DEBIAN_PACKAGES_FOR_SPECS = $(DEBIAN_PACKAGES_FOR_DOC) lua-busted lua-check luarocks curl unzip git nginx-light lua-luv \
  lua-cqueues lua-copas locales clang cppcheck valgrind $(DEBIAN_PACKAGES_FOR_EXTRACTION) lua-dbi-postgresql \
  postgresql postgresql-client python3-jsonschema procps man-db bsdextrautils
DEBIAN_PACKAGES_FOR_CHECKS = clang-14 clang-tidy clang-tools clang-format llvm-14 libclang-rt-14-dev dpkg-dev python3 \
  musl-tools
DEBIAN_PACKAGES_FOR_BENCH = curl golang python3-pycurl python3-requests nodejs gnuplot-nox
OTHER_PACKAGES = a C compiler, pkg-config, Lua 5.4, libcurl >= 7.85 and zlib with headers, lua-cjson, argparse, \
  LuaSocket, LuaExpat, luaossl, LuaFileSystem, LuaDBI for SQLite; for the specs help2man, busted, luacheck, LuaRocks
NEEDED_MODULES = cjson argparse socket lxp openssl.digest lfs dbd.sqlite3

PREFIX  ?= /usr/local
BUILD   ?= build
LUA     ?= lua5.4
CC      ?= cc
PKG     ?= pkg-config

# pkg-config has no name for Lua 5.4 that all systems share.
# Debian and Alpine say lua5.4, Homebrew and others lua-5.4 or lua54, Fedora and Arch lua (of whatever it is the newest).
LUA_PC  := $(firstword $(foreach name,lua5.4 lua-5.4 lua54 lua5.5 lua-5.5 lua55 lua,\
  $(shell $(PKG) --exists "$(name) >= 5.4" 2>/dev/null && echo $(name))))
LUA_INCDIR  ?=
LUA_CFLAGS  := $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(shell $(PKG) --cflags $(LUA_PC) 2>/dev/null))
CURL_CFLAGS ?= $(shell $(PKG) --cflags libcurl 2>/dev/null || curl-config --cflags 2>/dev/null)
CURL_LIBS   ?= $(shell $(PKG) --libs libcurl 2>/dev/null || curl-config --libs 2>/dev/null || echo -lcurl)

# Unpacks gzip in less than half of zlib's time. `make ISAL=` does without.
ISAL ?= $(shell $(PKG) --exists libisal 2>/dev/null && echo libisal)
GZIP_CFLAGS := $(if $(ISAL),-DWITH_ISAL $(shell $(PKG) --cflags $(ISAL)))
GZIP_LIBS   := $(if $(ISAL),$(shell $(PKG) --libs $(ISAL)),-lz)

CFLAGS   ?= -O2 -g
WARNINGS  = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
ALL_CFLAGS = -std=c11 -fPIC -fvisibility=hidden $(WARNINGS) $(LUA_CFLAGS) $(CURL_CFLAGS) $(GZIP_CFLAGS) $(CFLAGS)

# A module takes Lua's functions from the program that loads it: liblua is not linked.
ifeq ($(shell uname -s),Darwin)
  SHARED = -bundle -undefined dynamic_lookup
else
  SHARED = -shared -Wl,-z,relro,-z,now
endif

SOURCES  = $(wildcard src/*.c src/*/*.c)
HEADERS  = $(wildcard src/*.h src/*/*.h)
SPEC_SOURCES = $(wildcard spec/*.c spec/torture/*.c spec/fuzz/*.c spec/bench/floors/*.c)
OBJECTS  = $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
CORE     = $(BUILD)/zuora/core.so
LUA_FILES = $(shell find lua -name '*.lua')

# For running from this tree. The names with the version leave other Luas on the machine alone.
export LUA_PATH_5_4  = $(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;
export LUA_CPATH_5_4 = $(CURDIR)/$(BUILD)/?.so;;

.PHONY: all deps demo test test-big check check-deps check-cppcheck smoke torture fuzz soak bench bench-floors bench-simulator bench-tap bench-machines lint install clean
all: $(CORE)

$(CORE): $(OBJECTS)
	$(CC) $(SHARED) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CURL_LIBS) $(GZIP_LIBS) -lm

$(BUILD)/obj/%.o: src/%.c $(HEADERS) Makefile
	@mkdir -p $(@D) $(BUILD)/zuora
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Nothing is asked of the package manager when all is there. `demo` and `test` build in a second make,
# which then finds what pkg-config knows of the packages just installed. (The specs start nginx by
# themselves: the service that comes with it is of no use.)
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)

NEEDED = $(DEBIAN_PACKAGES) $(DEBIAN_PACKAGES_FOR_SPECS)
demo: NEEDED = $(DEBIAN_PACKAGES) $(DEBIAN_PACKAGES_FOR_EXTRACTION)

deps:
	@if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then \
	  missing=$$(for package in $(NEEDED); do \
	    dpkg-query -W -f='$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed \
	      || echo $$package; done); \
	  if [ -n "$$missing" ]; then \
	    echo "installing:" $$missing; \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get update -qq && \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive \
	      apt-get install -y -qq --no-install-recommends $$missing >/dev/null || exit 1; \
	    case " $$missing " in *nginx*) \
	      $(SUDO) systemctl disable -q --now nginx 2>/dev/null || true;; esac; \
	  fi; \
	elif ! $(LUA) $(NEEDED_MODULES:%=-l %) -e '' 2>/dev/null; then \
	  echo "please install: $(OTHER_PACKAGES)" >&2; exit 1; \
	fi

demo: deps
	@$(MAKE) --no-print-directory all
	$(LUA) spec/demo.lua

# Specs wait more than they work: one process more than there are processors shares them. What they load is built
# beforehand, by one.
JOBS ?= $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) + 1 )))
NATIVES = failing.so process.so pty.so shim.so threads wiped.so torture/syscalls.so torture/memory

test: deps
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory smoke
	@$(MAKE) -s --no-print-directory $(NATIVES:%=$(BUILD)/spec/%)
	$(LUA) spec/check/suite.lua $(JOBS)

test-big: all
	BIG_MIB=2048 busted spec/big_spec.lua

# --- the same specs, watched ---------------------------------------------------------------------

CHECKS = static asan tsan valgrind gc api clang portable musl cjson
.PHONY: $(CHECKS:%=check-%)
check: $(CHECKS:%=check-%)

check-deps: NEEDED += $(DEBIAN_PACKAGES_FOR_CHECKS)
check-deps: deps
CHECK_DEPS = check-deps

# A part of each for `test`; of fuzz, soak and torture there are specs. (Without -api: it fetches the source of Lua.)
SMOKE = $(MAKE) -j2 --no-print-directory CHECK_DEPS=
smoke: lint check-cppcheck
	$(SMOKE) check-asan SPECS="spec/session_spec.lua spec/sink_spec.lua"
	$(SMOKE) check-tsan
	$(SMOKE) check-valgrind SPECS=spec/sink_spec.lua
	$(SMOKE) check-gc SPECS="spec/session_spec.lua spec/requests_spec.lua"
	$(SMOKE) check-clang SPECS=spec/sink_spec.lua

# What SPECS= names, or all but what measures memory or time, has its own memory counted, or watches by itself.
SPECS ?= spec
UNWATCHED = cli/start bench big fairness fuzz soak torture/memory torture/syscalls torture/hook
ALL_SPECS = $(filter spec,$(SPECS))
WATCHED = $(if $(ALL_SPECS),$(filter-out $(UNWATCHED:%=spec/%_spec.lua),\
  $(shell find spec -name '*_spec.lua')),$(SPECS))

check-static: $(CHECK_DEPS) lint
	clang-tidy --quiet --warnings-as-errors='*' $(SOURCES) -- -std=c11 $(LUA_CFLAGS) $(CURL_CFLAGS) $(GZIP_CFLAGS)
	@$(MAKE) --no-print-directory check-cppcheck
	scan-build --status-bugs -o $(BUILD)/scan $(MAKE) --no-print-directory BUILD=$(BUILD)/scan all

# Without libcurl's header, whose version it must be told: the oldest, and one that has curl_multi_waitfds.
check-cppcheck:
	for version in 0x075500 0x080800; do cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr \
	  --enable=warning,performance,portability -D__GNUC__ -DLIBCURL_VERSION_NUM=$$version -Isrc src || exit 1; done

# lua5.4 is not linked with the sanitizers: they are loaded with it, behind what a spec preloads, and with no program
# that it starts (curl's own hangs with them). Leaks are valgrind's.
ASAN = -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
check-asan: $(CHECK_DEPS)
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan CFLAGS="-g $(ASAN)" all
	@mkdir -p $(BUILD)/asan/bin
	lua=$$(command -v $(LUA)) && printf '#!/bin/sh\nexec %s --preload "%s %s" %s "$$@"\n' \
	  $$(ldd $$lua | grep -o '/[^ ]*/ld-[^ ]*') $$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so) $$lua \
	  >$(BUILD)/asan/bin/lua5.4 && chmod +x $(BUILD)/asan/bin/lua5.4
	SPEC_LUA_PREFIX="env LD_PRELOAD=$$(gcc -print-file-name=libasan.so):$$(gcc -print-file-name=libubsan.so)" \
	  PATH="$(CURDIR)/$(BUILD)/asan/bin:$$PATH" UBSAN_OPTIONS=print_stacktrace=1 \
	  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:verify_asan_link_order=0 \
	  busted --cpath='./$(BUILD)/asan/?.so' $(WATCHED)

# Only the host of the threads can be watched: a program must be linked with it.
check-tsan: $(CHECK_DEPS)
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CFLAGS="-g -O1 -fsanitize=thread" all $(BUILD)/tsan/spec/threads
	SPEC_BUILD=$(BUILD)/tsan TSAN_OPTIONS=exitcode=66 busted spec/threads_spec.lua

VALGRIND = valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite \
  --errors-for-leak-kinds=definite --suppressions=$(CURDIR)/spec/check/valgrind.supp
UNDER_VALGRIND = json strict session sink operations scheduler credentials caller files download request describe \
  reportruns jobs rows queries semaphore cancel resilience embedding http2
check-valgrind: $(CHECK_DEPS)
	@$(MAKE) --no-print-directory all
	$(VALGRIND) $(LUA) $$(command -v busted) --ignore-lua $(if $(ALL_SPECS),$(UNDER_VALGRIND:%=spec/%_spec.lua),$(SPECS))
ifneq ($(ALL_SPECS),)
	SPEC_LUA_PREFIX="$(VALGRIND)" busted spec/lifetime_spec.lua
	SPEC_LUA_PREFIX="$(VALGRIND) --leak-check=no" busted spec/fork_spec.lua # children leak, on purpose
endif

# The collector where it is least expected.
check-gc: $(CHECK_DEPS)
	@$(MAKE) --no-print-directory all
	SPEC_COLLECTOR=stepping busted --helper=spec/check/collector.lua $(WATCHED)
	SPEC_COLLECTOR=generational busted --helper=spec/check/collector.lua $(WATCHED)

# Debian's Lua, built from its source with the checks of the API on.
APT_SOURCES = $(BUILD)/lua/apt
APT_SOURCE = apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$(CURDIR)/$(APT_SOURCES) \
  -o Dir::State::lists=$(CURDIR)/$(APT_SOURCES)/lists
$(BUILD)/lua/lua5.4:
	rm -rf $(BUILD)/lua && mkdir -p $(APT_SOURCES)/lists/partial
	for file in /etc/apt/sources.list.d/debian*.sources; do \
	  sed 's/^Types:.*/Types: deb-src/' "$$file" > $(APT_SOURCES)/$$(basename "$$file"); done
	if [ -f /etc/apt/sources.list ]; then sed -n 's/^deb /deb-src /p' /etc/apt/sources.list > $(APT_SOURCES)/old.list; fi
	cd $(BUILD)/lua && $(APT_SOURCE) update && $(APT_SOURCE) source lua5.4
	cd $(BUILD)/lua/lua5.4-*/src && $(CC) -O1 -g -std=gnu99 -DLUA_COMPAT_5_3 -DLUA_USE_LINUX -DLUA_USE_APICHECK \
	  -Wl,-E -o ../../lua5.4 $$(ls *.c | grep -v luac.c) -lm -ldl

check-api: $(CHECK_DEPS)
	@$(MAKE) --no-print-directory all $(BUILD)/lua/lua5.4
	PATH="$(CURDIR)/$(BUILD)/lua:$$PATH" busted $(WATCHED)

check-clang: $(CHECK_DEPS)
	@$(MAKE) --no-print-directory CC=clang BUILD=$(BUILD)/clang all
	busted --cpath='./$(BUILD)/clang/?.so' $(WATCHED)

# As on a processor that looks at text eight bytes at a time, without ISA-L, and on macOS and the BSDs, which lack what
# Linux has.
check-portable: $(CHECK_DEPS)
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/portable ISAL= \
	  CFLAGS="$(CFLAGS) -U__SSE2__ -include $(CURDIR)/spec/portable.h" all
	busted --cpath='./$(BUILD)/portable/?.so' $(WATCHED)

# Against musl's headers, where musl-gcc is there. (There is no libcurl for it in Debian: it is compiled, not run.)
check-musl: $(CHECK_DEPS)
	@if ! command -v musl-gcc >/dev/null; then echo "check-musl: left out, there is no musl-gcc"; else \
	  mkdir -p $(BUILD)/musl && rm -f $(BUILD)/musl/* && \
	  for header in zlib.h zconf.h curl lua5.4-deb-multiarch.h; do for folder in $(MUSL_HEADERS); do \
	    if [ -e $$folder/$$header ]; then ln -sf $$folder/$$header $(BUILD)/musl/; fi; done; done && \
	  for file in $(SOURCES); do \
	    musl-gcc -std=c11 -O2 $(WARNINGS) -Wno-sign-conversion -Werror -fsyntax-only -isystem $(BUILD)/musl $(LUA_CFLAGS) $$file || exit 1; \
	  done; fi
MUSL_HEADERS = /usr/include /usr/include/$(shell $(CC) -dumpmachine 2>/dev/null)

# The other lua-cjson in use, where somebody has built it: CJSON= the folder that its cjson.so is in.
CJSON ?=
check-cjson: $(CHECK_DEPS)
	@$(MAKE) --no-print-directory all
	@if [ -z "$(CJSON)" ]; then echo "check-cjson: left out, CJSON= names no folder with another cjson.so"; \
	else busted --cpath='$(CJSON)/?.so' $(WATCHED); fi # busted hands a ";" on to a shell; LUA_CPATH_5_4 has the core

# Needs nginx for its rounds over HTTP/2; more than its time means that it hangs.
MINUTES ?= 10
soak: all
	timeout $$(( $(MINUTES) * 60 + 600 )) $(LUA) -e 'package.path = "./?.lua;" .. package.path' spec/soak/soak.lua $(MINUTES)

# What `test` does in part: see spec/torture.
torture: check-deps
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan CFLAGS="-g $(ASAN)" all $(BUILD)/asan/spec/torture/memory
	TORTURE=all HOOK_STRIDE=1 ASAN_OPTIONS=malloc_context_size=8:detect_leaks=0 busted spec/torture

# One program for all targets of spec/fuzz (FUZZ_TARGET names the one), made in four ways: with libFuzzer,
# with a main that replays files (gcc can, too; once more without SSE2 and ISA-L), and once more to count the lines that were
# reached.
SECONDS     ?= 60
FUZZ_CC     ?= clang-14
FUZZ_HOST    = spec/fuzz/host.c spec/fuzz/portable.c
FUZZ_FLAGS   = $(ALL_CFLAGS) -g -Wno-unused-command-line-argument
FUZZ_LIBS    = $(shell $(PKG) --libs $(LUA_PC)) $(CURL_LIBS) $(GZIP_LIBS) -lz -lm
CAN_SANITIZE = $(shell echo 'int main(void) { return 0; }' | \
  $(CC) $(ASAN) -x c -o /dev/null - 2>/dev/null && echo $(ASAN))

fuzz: check-deps
	@$(MAKE) --no-print-directory $(addprefix $(BUILD)/fuzz/,target lines replay portable)
	FUZZ_SECONDS=$(SECONDS) $(LUA) spec/fuzz/main.lua

$(BUILD)/fuzz/target: $(SOURCES) $(HEADERS) $(FUZZ_HOST)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) $(ASAN) -fsanitize=fuzzer -fno-sanitize-coverage=trace-cmp -o $@ $(filter %.c,$^) $(FUZZ_LIBS)

$(BUILD)/fuzz/replay: $(SOURCES) $(HEADERS) $(FUZZ_HOST) spec/fuzz/replay.c
	@mkdir -p $(@D)
	$(CC) $(FUZZ_FLAGS) $(CAN_SANITIZE) -o $@ $(filter %.c,$^) $(FUZZ_LIBS)

$(BUILD)/fuzz/portable: $(SOURCES) $(HEADERS) $(FUZZ_HOST) spec/fuzz/replay.c
	@mkdir -p $(@D)
	$(CC) $(FUZZ_FLAGS) -UWITH_ISAL $(CAN_SANITIZE) -U__SSE2__ -o $@ $(filter %.c,$^) $(FUZZ_LIBS)

$(BUILD)/fuzz/lines: $(SOURCES) $(HEADERS) $(FUZZ_HOST) spec/fuzz/replay.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) -fprofile-instr-generate -fcoverage-mapping -o $@ $(filter %.c,$^) $(FUZZ_LIBS)

# The floors of the bench, and the one of its peers that is compiled. The Lua modules among them are loaded by name.
BENCH_BUILT = $(patsubst %,$(BUILD)/bench/%,calls download spent rows.so fetch.so)

$(BUILD)/bench/%.so: spec/bench/floors/%.c spec/bench/floors/floor.h
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(SHARED) -o $@ $< $(CURL_LIBS)

$(BUILD)/bench/%: spec/bench/floors/%.c spec/bench/floors/floor.h
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $< $(CURL_LIBS)

$(BUILD)/bench/peer: spec/bench/peers/peer.go
	@mkdir -p $(@D)
	go build -o $@ $<

# Two tables of ratios, in a quarter of an hour; WORK=W3 is only what begins so, ROUNDS=1 a first
# look. A peer that is not there is left out.
WORK ?=
ROUNDS ?=
bench: NEEDED = $(DEBIAN_PACKAGES) nginx-light
bench: deps
	@$(MAKE) --no-print-directory deps NEEDED="$(DEBIAN_PACKAGES_FOR_BENCH)" || echo "not all peers can be installed"
	@$(MAKE) -s --no-print-directory all bench-floors
	@if command -v go >/dev/null; then $(MAKE) -s --no-print-directory $(BUILD)/bench/peer || rm -f $(BUILD)/bench/peer; fi
	@WORK=$(WORK) ROUNDS=$(ROUNDS) LUA=$(LUA) LUA_CPATH_5_4="$(CURDIR)/$(BUILD)/bench/?.so;$$LUA_CPATH_5_4" \
	  $(LUA) -e 'package.path = "./?.lua;" .. package.path' spec/bench/run.lua

bench-floors: $(BENCH_BUILT)

# What a tap costs.
bench-tap: all
	$(LUA) -e 'package.path = "./?.lua;" .. package.path' spec/bench/tap.lua

# What many workers ask of the database that they share.
bench-machines: all
	$(LUA) -e 'package.path = "./?.lua;" .. package.path' spec/bench/machines.lua

# How fast the simulator is.
bench-simulator: all
	$(LUA) -e 'package.path = "./?.lua;" .. package.path' spec/bench/simulator.lua

$(BUILD)/spec/torture/syscalls.so: spec/torture/rule.h
$(BUILD)/spec/torture/memory $(BUILD)/spec/failing.so $(BUILD)/spec/wiped.so: spec/allocator.h

# What only specs need. (Bound late: what is preloaded is in programs without Lua, too.)
$(BUILD)/spec/%.so: spec/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(SHARED) -Wl,-z,lazy $(LDFLAGS) -o $@ $<

# Programs that host Lua; their modules find its functions, and whatever else they export.
$(BUILD)/spec/%: spec/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -pthread -rdynamic -o $@ $< $(shell $(PKG) --libs $(LUA_PC))

lint:
	luacheck .
	for file in $(SOURCES) $(SPEC_SOURCES); do for cc in gcc clang; do \
	  command -v $$cc >/dev/null || continue; \
	  $$cc $(ALL_CFLAGS) -Werror -fsyntax-only $$file || exit 1; done; done
	if command -v clang-format >/dev/null; then clang-format --dry-run -Werror $(SOURCES) $(HEADERS) $(SPEC_SOURCES) \
	  $(wildcard spec/*.h spec/*/*.h); fi
	if command -v lua-language-server >/dev/null; then $(MAKE) --no-print-directory lint-types; fi

.PHONY: lint-types uninstall
lint-types:
	for folder in lua spec/examples; do \
	  lua-language-server --check="$(CURDIR)/$$folder" --configpath="$(CURDIR)/.luarc.json" --checklevel=Warning \
	    --logpath="$(CURDIR)/$(BUILD)/types" || exit 1; done

# The manual page is what the program says of itself; where help2man is not there, there is none. The tables of README.md
# and REFERENCE.md are from where the truth is, and the plots are of the README's figures; without gnuplot they stay.
MANUAL = $(BUILD)/zuora.1
.PHONY: doc
doc: $(MANUAL)
	$(LUA) -e 'package.path = "./?.lua;" .. package.path; require "spec.tables".write()'

$(MANUAL): $(CORE) $(LUA_FILES) lua/bin/zuora
	@if command -v help2man >/dev/null; then \
	  help2man --no-info --name="reports and queries of Zuora, from a shell" --help-option="help manual" \
	    --version-option=version --output=$@ "$(LUA) lua/bin/zuora"; \
	else echo "no help2man: no manual page" >&2; rm -f $@; fi

# Where this Lua looks for modules: below the PREFIX, by its version.
LUA_VERSION = $(shell $(LUA) -e 'print((_VERSION:gsub("Lua ", "")))' 2>/dev/null || echo 5.4)
LUA_DIR  = $(DESTDIR)$(PREFIX)/share/lua/$(LUA_VERSION)
LIB_DIR  = $(DESTDIR)$(PREFIX)/lib/lua/$(LUA_VERSION)
BIN_DIR  = $(DESTDIR)$(PREFIX)/bin
MAN_DIR  = $(DESTDIR)$(PREFIX)/share/man/man1

PROGRAMS = zuora zuora-tap
install: all $(MANUAL)
	@install -d "$(BIN_DIR)"
	@for name in $(PROGRAMS); do \
	  sed "1s|.*|#!/usr/bin/env $(LUA)|" lua/bin/$$name > $(BUILD)/$$name.bin && \
	  install -m 755 $(BUILD)/$$name.bin "$(BIN_DIR)/$$name" || exit 1; done
	@if [ -f $(MANUAL) ]; then install -d "$(MAN_DIR)" && install -m 644 $(MANUAL) "$(MAN_DIR)/zuora.1"; fi
	@install -d "$(LIB_DIR)/zuora"
	@install -m 755 $(CORE) "$(LIB_DIR)/zuora/core.so"
	@for file in $(LUA_FILES); do \
	  target="$(LUA_DIR)/$${file#lua/}"; \
	  install -d "$$(dirname "$$target")" && install -m 644 "$$file" "$$target" || exit 1; done
	@echo "installed: $(PROGRAMS) in $(BIN_DIR), modules in $(LIB_DIR) and $(LUA_DIR)"

uninstall:
	rm -f $(PROGRAMS:%="$(BIN_DIR)/%") "$(MAN_DIR)/zuora.1"
	rm -rf "$(LIB_DIR)/zuora" "$(LUA_DIR)/zuora"

clean:
	rm -rf $(BUILD)
