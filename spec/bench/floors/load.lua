-- A file is loaded by hand: load.lua sqlite|postgresql PATH DIRECTORY ROWS. By sqlite3's .import, or psql's \\copy.

local loading = require "spec.bench.loading"

local kind, path, directory, count = arg[1], arg[2], arg[3], math.tointeger(arg[4])
local SQL = { decimal = "numeric", datetime = "timestamptz" }

local columns, names = {}, {}
do
  local file <close> = assert(io.open(path))
  for name in file:read "l":gmatch "[^,]+" do
    names[#names + 1] = ('"%s"'):format(name)
    columns[#columns + 1] = ('"%s" %s'):format(name, kind == "postgresql" and SQL[loading.TYPES[name]] or "text")
  end
end
local made = ('CREATE TABLE "Big" (%s);\nCREATE INDEX by_key ON "Big" ("Id");\n'):format(table.concat(columns, ", "))
local script = os.tmpname()
local file = assert(io.open(script, "w"))
if kind == "postgresql" then
  file:write(made, ('\\copy "Big" (%s) from \'%s\' with (format csv, header)\n'):format(table.concat(names, ", "), path))
else
  file:write(made, (".mode csv\n.import --skip 1 %s Big\n"):format(path))
end
file:close()
loading.measured(kind, directory, count, function(to)
  assert(os.execute((kind == "postgresql" and "psql -X -q -v ON_ERROR_STOP=1 -d '%s' -f %s" or "sqlite3 '%s' <%s"):format(
    to, script)))
end)
os.remove(script)
