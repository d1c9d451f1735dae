# make            build the module into build/
# make demo       install what is missing, build, run the main job against a local simulator
# make test       the same, then all specs
# make test-big   results of 2 GiB in a few MiB of memory
# make check      the core's specs under valgrind
# make torture    every allocation and every system call fails once, under sanitizers
# make bench      how fast it is, beside others
# make lint       luacheck, the compilers' warnings, clang-format where it is installed
# make install    DESTDIR= PREFIX=/usr/local
#
# LUA, LUA_INCDIR, CURL_CFLAGS, CURL_LIBS, CC, CFLAGS and LDFLAGS can be set from outside.

# What a Debian-like system needs; elsewhere `make deps` prints what to install.
DEBIAN_PACKAGES = gcc make pkg-config lua5.4 liblua5.4-dev libcurl4-openssl-dev zlib1g-dev lua-cjson \
  lua-expat lua-socket lua-sec lua-zlib openssl
DEBIAN_PACKAGES_FOR_SPECS = lua-busted lua-check luarocks curl unzip git nginx-light lua-luv lua-cqueues lua-copas locales
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
SPEC_SOURCES = $(wildcard spec/*.c spec/torture/*.c)
OBJECTS  = $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
CORE     = $(BUILD)/zuora/core.so
LUA_FILES = $(shell find lua -name '*.lua')

# For running from this tree. The names with the version leave other Luas on the machine alone.
export LUA_PATH_5_4  = $(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;
export LUA_CPATH_5_4 = $(CURDIR)/$(BUILD)/?.so;;

.PHONY: all deps demo test test-big check torture bench lint install clean
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

# The core's specs under valgrind: no bad access, nothing definitely lost.
VALGRIND = valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite \
  --errors-for-leak-kinds=definite
CHECKED = json strict session sink operations loop credentials call files transfer raw describe reportruns jobs rows \
  queries limiter cancel resilience embedding http2

check: all
	$(VALGRIND) $(LUA) $$(command -v busted) --ignore-lua $(CHECKED:%=spec/%_spec.lua)
	SPEC_LUA_PREFIX="$(VALGRIND)" busted spec/lifetime_spec.lua
	SPEC_LUA_PREFIX="$(VALGRIND) --leak-check=no" busted spec/fork_spec.lua # children leak, on purpose

# What `test` does in part: see spec/torture.
SANITIZED = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

torture: all
	$(MAKE) BUILD=build/asan CFLAGS="$(SANITIZED)" all build/asan/spec/torture/memory
	TORTURE=all HOOK_STRIDE=1 ASAN_OPTIONS=malloc_context_size=8:detect_leaks=0 busted spec/torture

# The peer and the floor of a bench.
$(BUILD)/bench/many: spec/bench/many.c
	@mkdir -p $(@D)
	$(CC) -std=c11 $(WARNINGS) -Wno-sign-conversion $(CURL_CFLAGS) $(CFLAGS) -o $@ $< $(CURL_LIBS)

# Ratios of one run, side by side; needs nginx.
bench: all $(BUILD)/bench/many
	for bench in many simulator results; do \
	  $(LUA) -e 'package.path = "./?.lua;" .. package.path' spec/bench/$$bench.lua || exit 1; done

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
	if command -v clang-format >/dev/null; then clang-format --dry-run -Werror $(SOURCES) $(HEADERS) $(SPEC_SOURCES); fi

install: all
	install -d "$(DESTDIR)$(PREFIX)/lib/lua/5.4/zuora"
	install -m 755 $(CORE) "$(DESTDIR)$(PREFIX)/lib/lua/5.4/zuora/core.so"
	for file in $(LUA_FILES); do \
	  target="$(DESTDIR)$(PREFIX)/share/lua/5.4/$${file#lua/}"; \
	  install -d "$$(dirname "$$target")" && install -m 644 "$$file" "$$target" || exit 1; done

clean:
	rm -rf $(BUILD)
