std = "lua54"
max_line_length = 120
include_files = { "lua", "spec", "rockspec", ".luacheckrc", ".busted" }
files["spec"] = { std = "+busted" }
files["rockspec"] = { std = "rockspec" }
files[".busted"] = { std = "max" }
