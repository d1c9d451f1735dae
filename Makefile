# make            build the module into build/
# make demo       install what is missing, build, run the main job against a local simulator
# make test       the same, then all specs
# make test-big   results of 2 GiB in a few MiB of memory
# make check      all that watches: check-static, -asan, -tsan, -valgrind, -gc, -api, -clang, -cjson
# make bench      how fast it is, beside others
# make lint       luacheck, the compilers' warnings, clang-format where it is installed
# make install    DESTDIR= PREFIX=/usr/local
#
# LUA, LUA_INCDIR, CURL_CFLAGS, CURL_LIBS, CC, CFLAGS and LDFLAGS can be set from outside.

# What a Debian-like system needs; elsewhere `make deps` prints what to install.
DEBIAN_PACKAGES = gcc make pkg-config lua5.4 liblua5.4-dev libcurl4-openssl-dev zlib1g-dev lua-cjson \
  lua-expat lua-socket lua-sec lua-zlib openssl
DEBIAN_PACKAGES_FOR_SPECS = lua-busted lua-check luarocks curl unzip git nginx-light lua-luv lua-cqueues lua-copas
DEBIAN_PACKAGES_FOR_CHECKS = clang clang-tidy clang-tools clang-format cppcheck valgrind dpkg-dev
OTHER_PACKAGES = a C compiler, pkg-config, Lua 5.4, libcurl >= 7.85 and zlib with headers, lua-cjson, \
  LuaSocket, busted, luacheck, LuaRocks

PREFIX  ?= /usr/local
BUILD   ?= build
LUA     ?= lua5.4
CC      ?= cc
PKG     ?= pkg-config

# pkg-config has no name for Lua 5.4 that all systems share.
LUA_PC  := $(firstword $(foreach name,lua5.4 lua-5.4 lua54 lua5.5 lua-5.5 lua55 lua,\
  $(shell $(PKG) --exists "$(name) >= 5.4" 2>/dev/null && echo $(name))))
LUA_INCDIR  ?=
LUA_CFLAGS  := $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(shell $(PKG) --cflags $(LUA_PC) 2>/dev/null))
CURL_CFLAGS ?= $(shell $(PKG) --cflags libcurl 2>/dev/null || curl-config --cflags 2>/dev/null)
CURL_LIBS   ?= $(shell $(PKG) --libs libcurl 2>/dev/null || curl-config --libs 2>/dev/null || echo -lcurl)

CFLAGS   ?= -O2 -g
WARNINGS  = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
ALL_CFLAGS = -std=c11 -fPIC -fvisibility=hidden $(WARNINGS) $(LUA_CFLAGS) $(CURL_CFLAGS) $(CFLAGS)

# A module takes Lua's functions from the program that loads it: liblua is not linked.
ifeq ($(shell uname -s),Darwin)
  SHARED = -bundle -undefined dynamic_lookup
else
  SHARED = -shared -Wl,-z,relro,-z,now
endif

SOURCES  = $(wildcard src/*.c src/*/*.c)
HEADERS  = $(wildcard src/*.h src/*/*.h)
SPEC_SOURCES = $(wildcard spec/*.c)
OBJECTS  = $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
CORE     = $(BUILD)/zuora/core.so
LUA_FILES = $(shell find lua -name '*.lua')

# For running from this tree. The names with the version leave other Luas on the machine alone.
export LUA_PATH_5_4  = $(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;
export LUA_CPATH_5_4 = $(CURDIR)/$(BUILD)/?.so;;

.PHONY: all deps demo test test-big check bench lint install clean
all: $(CORE)

$(CORE): $(OBJECTS)
	$(CC) $(SHARED) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CURL_LIBS) -lz -lm

$(BUILD)/obj/%.o: src/%.c $(HEADERS) Makefile
	@mkdir -p $(@D) $(BUILD)/zuora
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Nothing is asked of the package manager when all is there. `demo` and `test` build in a second make,
# which then finds what pkg-config knows of the packages just installed. (The specs start nginx by
# themselves: the service that comes with it is of no use.)
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)

NEEDED = $(DEBIAN_PACKAGES) $(DEBIAN_PACKAGES_FOR_SPECS)
demo: NEEDED = $(DEBIAN_PACKAGES)

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
	elif ! $(LUA) -e 'require "cjson"; require "socket"' 2>/dev/null; then \
	  echo "please install: $(OTHER_PACKAGES)" >&2; exit 1; \
	fi

demo: deps
	@$(MAKE) --no-print-directory all
	$(LUA) spec/demo.lua

test: deps
	@$(MAKE) --no-print-directory all
	busted

test-big: all
	BIG_MIB=2048 busted spec/big_spec.lua

# --- the same specs, watched ---------------------------------------------------------------------

CHECKS = static asan tsan valgrind gc api clang cjson
.PHONY: $(CHECKS:%=check-%)
check: $(CHECKS:%=check-%)

check-deps: NEEDED += $(DEBIAN_PACKAGES_FOR_CHECKS)
check-deps: deps

# What SPECS= names, or all. Left out where a program is watched: what measures memory or time.
SPECS ?= spec
MEASURING = big fairness
WATCHED = $(if $(filter spec,$(SPECS)),$(filter-out $(MEASURING:%=spec/%_spec.lua),$(shell find spec -name '*_spec.lua')),$(SPECS))

check-static: check-deps lint
	clang-tidy --quiet --warnings-as-errors='*' $(SOURCES) -- -std=c11 $(LUA_CFLAGS) $(CURL_CFLAGS)
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability --inline-suppr \
	  -D__GNUC__ -Isrc src
	scan-build --status-bugs -o $(BUILD)/scan $(MAKE) --no-print-directory BUILD=$(BUILD)/scan all

# libasan comes first in the process, since lua5.4 is not linked with it. (Leaks are valgrind's.)
ASAN = -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
check-asan: check-deps
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan CFLAGS="-g $(ASAN)" all
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	  busted --cpath='./$(BUILD)/asan/?.so' $(WATCHED)

# Only the host of the threads can be watched: a program must be linked with it.
check-tsan: check-deps
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CFLAGS="-g -O1 -fsanitize=thread" all $(BUILD)/tsan/spec/threads
	SPEC_BUILD=$(BUILD)/tsan TSAN_OPTIONS=exitcode=66 busted spec/threads_spec.lua

VALGRIND = valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite \
  --errors-for-leak-kinds=definite
UNDER_VALGRIND = json session sink operations loop credentials call files transfer raw describe reportruns jobs rows \
  queries limiter cancel resilience embedding http2
check-valgrind: check-deps
	@$(MAKE) --no-print-directory all
	$(VALGRIND) $(LUA) $$(command -v busted) --ignore-lua $(UNDER_VALGRIND:%=spec/%_spec.lua)
	SPEC_LUA_PREFIX="$(VALGRIND)" busted spec/lifetime_spec.lua
	SPEC_LUA_PREFIX="$(VALGRIND) --leak-check=no" busted spec/fork_spec.lua # children leak, on purpose

# The collector where it is least expected.
check-gc: check-deps
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

check-api: check-deps
	@$(MAKE) --no-print-directory all $(BUILD)/lua/lua5.4
	PATH="$(CURDIR)/$(BUILD)/lua:$$PATH" busted $(WATCHED)

check-clang: check-deps
	@$(MAKE) --no-print-directory CC=clang BUILD=$(BUILD)/clang all
	busted --cpath='./$(BUILD)/clang/?.so' $(WATCHED)

# The other lua-cjson in use, where somebody has built it: CJSON= the folder that its cjson.so is in.
CJSON ?=
check-cjson: check-deps
	@$(MAKE) --no-print-directory all
	@if [ -z "$(CJSON)" ]; then echo "check-cjson: left out, CJSON= names no folder with another cjson.so"; \
	else busted --cpath='$(CJSON)/?.so;./$(BUILD)/?.so' $(WATCHED); fi

# The peer and the floor of a bench.
$(BUILD)/bench/many: spec/bench/many.c
	@mkdir -p $(@D)
	$(CC) -std=c11 $(WARNINGS) -Wno-sign-conversion $(CURL_CFLAGS) $(CFLAGS) -o $@ $< $(CURL_LIBS)

# Ratios of one run, side by side; needs nginx.
bench: all $(BUILD)/bench/many
	for bench in many simulator results; do \
	  $(LUA) -e 'package.path = "./?.lua;" .. package.path' spec/bench/$$bench.lua || exit 1; done

# What only specs need.
$(BUILD)/spec/%.so: spec/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(SHARED) $(LDFLAGS) -o $@ $<

$(BUILD)/spec/threads: spec/threads.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -pthread -o $@ $< $(shell $(PKG) --libs $(LUA_PC))

lint:
	luacheck .
	for file in $(SOURCES) $(SPEC_SOURCES); do for cc in gcc clang; do \
	  command -v $$cc >/dev/null || continue; \
	  $$cc $(ALL_CFLAGS) -Werror -fsyntax-only $$file || exit 1; done; done
	if command -v clang-format >/dev/null; then clang-format --dry-run -Werror $(SOURCES) $(HEADERS) $(SPEC_SOURCES); fi

install: all
	install -d "$(DESTDIR)$(PREFIX)/lib/lua/5.4/zuora"
	install -m 755 $(CORE) "$(DESTDIR)$(PREFIX)/lib/lua/5.4/zuora/core.so"
	for file in $(LUA_FILES); do \
	  target="$(DESTDIR)$(PREFIX)/share/lua/5.4/$${file#lua/}"; \
	  install -d "$$(dirname "$$target")" && install -m 644 "$$file" "$$target" || exit 1; done

clean:
	rm -rf $(BUILD)
