-- LuaRocks on Debian: lua-cjson and argparse are there as packages, which LuaRocks does not know of.
--   LUAROCKS_CONFIG=spec/luarocks-debian.lua luarocks --lua-version=5.4 --tree DIR make rockspec/zuora-scm-1.rockspec
rocks_provided = { ["lua-cjson"] = "2.1.0-1", argparse = "0.7.1-1" }
