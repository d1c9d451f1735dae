-- LuaRocks on Debian: lua-cjson and argparse are there as packages, which LuaRocks does not know of.
--   LUAROCKS_CONFIG=spec/luarocks-debian.lua luarocks --lua-version=5.4 --tree DIR make rockspec/zuora-scm-1.rockspec
-- The headers are where they are, whichever lua5.4 comes first in PATH.
variables = { LUA_DIR = "/usr", LUA_INCDIR = "/usr/include/lua5.4" }
rocks_provided = { ["lua-cjson"] = "2.1.0-1", argparse = "0.7.1-1" }
