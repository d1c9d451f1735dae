-- A file is loaded by hand: load.lua sqlite|postgresql PATH DIRECTORY ROWS [WINDOW ROWS]. By sqlite3's .import, or psql's
-- \\copy; a window by way of a table of its own.

local loading = require "spec.bench.loading"

local kind, path, directory, count = arg[1], arg[2], arg[3], math.tointeger(arg[4])
local window, window_count = arg[5], math.tointeger(arg[6])
local SQL = { decimal = "numeric", datetime = "timestamptz" }

local columns, names, sets = {}, {}, { "_zuora_deleted = EXCLUDED._zuora_deleted", "_zuora_read = EXCLUDED._zuora_read" }
do
  local file <close> = assert(io.open(path))
  for name in file:read "l":gmatch "[^,]+" do
    local quoted = ('"%s"'):format(name)
    names[#names + 1] = quoted
    columns[#columns + 1] = ("%s %s"):format(quoted, kind == "postgresql" and SQL[loading.TYPES[name]] or "text")
    if name ~= "Id" then sets[#sets + 1] = ("%s = EXCLUDED.%s"):format(quoted, quoted) end
  end
end
local list = table.concat(names, ", ")

local function copy(from, to)
  if kind == "sqlite" then return (".import --skip 1 %s %s\n"):format(from, to) end
  return ("\\copy \"%s\" (%s) from '%s' with (format csv, header)\n"):format(to, list, from)
end

local script = os.tmpname()
local file = assert(io.open(script, "w"))
if kind == "sqlite" then file:write(".mode csv\nPRAGMA cache_size = -65536;\n") end
if window then
  file:write("BEGIN;\n", ("CREATE TEMP TABLE stage AS SELECT %s FROM \"Big\" WHERE false;\n"):format(list),
    copy(window, "stage"), ([[INSERT INTO "Big" (%s, _zuora_deleted, _zuora_read) SELECT %s, false, 'window' FROM stage
    WHERE true ON CONFLICT ("Id") DO UPDATE SET %s WHERE EXCLUDED."UpdatedDate" >= "Big"."UpdatedDate";]]):format(list,
    list, table.concat(sets, ", ")), "\nCOMMIT;\n")
else
  file:write(('CREATE TABLE "Big" (%s);\nCREATE INDEX by_key ON "Big" ("Id");\n'):format(table.concat(columns, ", ")),
    copy(path, "Big"))
end
file:close()

local function run(to, what)
  assert(os.execute((kind == "postgresql" and "psql -X -q -v ON_ERROR_STOP=1 -d '%s' %s" or "sqlite3 '%s' %s"):format(
    to, what)))
end

loading.measured(kind, directory, path, count, window_count, function(to)
  run(to, (kind == "postgresql" and "-f " or "<") .. script)
end, function(to)
  run(to, (kind == "postgresql" and "-c " or "") .. "'CREATE UNIQUE INDEX by_key ON \"Big\" (\"Id\"); DROP INDEX \"zuora_key_Big\"'")
end)
os.remove(script)
