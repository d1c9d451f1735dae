std = "lua54"
self = false
max_line_length = 120
include_files = { "lua/**/*.lua", "lua/bin/*", "spec/**/*.lua", "rockspec/*", ".luacheckrc", ".busted" }
files["lua/zuora/meta"] = { max_line_length = false }
files["spec"] = { std = "+busted", max_line_length = 140 }
files["spec/luarocks-debian.lua"] = { globals = { "rocks_provided", "variables" } }
files["rockspec"] = { std = "rockspec" }
files[".luacheckrc"] = { std = "luacheckrc" }
files["spec/documents.lua"] = { ignore = { "613" } } -- trailing blanks are the documents' own
