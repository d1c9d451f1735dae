--- The tables of a target: what a file's columns are called and are in it, and what has to be made or added.

local ascii = require "zuora.support.ascii"
local columns = require "zuora.extract.base.columns"
local dialects = require "zuora.load.dialects"
local disk = require "zuora.extract.base.disk"
local losses = require "zuora.load.losses"
local manifest = require "zuora.extract.base.manifest"
local mark_table = require "zuora.extract.base.mark_table"
local merge = require "zuora.load.merge"
local phrases = require "zuora.extract.base.phrases"
local reads = require "zuora.extract.base.reads"

local raise = require "zuora.error".raise

local tables = {}

-- Of what is below: one of another version is refused.
local VERSION = "1"

--- How long a lock of somebody else's is waited for; what has to wait longer is for the next run.
tables.LOCK_SECONDS = 30

--- What is said where rows were brought, and are not there.
tables.SWALLOWED = "%s: not all rows of the file are in the table afterwards: has somebody given it a trigger?"

--- The tables that every target has.
tables.OWN = {
  [[CREATE TABLE IF NOT EXISTS %szuora_target (name TEXT PRIMARY KEY, value TEXT)]],
  [[CREATE TABLE IF NOT EXISTS %szuora_loads (plan TEXT, item TEXT, entity TEXT, kind TEXT, read_from TEXT,
    read_to TEXT, generation TEXT, piece TEXT, records TEXT, sha256 TEXT, loaded_at TEXT,
    PRIMARY KEY (plan, item, entity, kind, read_from, read_to, generation, piece))]],
  [[CREATE TABLE IF NOT EXISTS %szuora_deleted (item TEXT, id TEXT, at TEXT, PRIMARY KEY (item, id))]],
  -- What tables were given: a column of these that is not there was taken away, and is not new.
  [[CREATE TABLE IF NOT EXISTS %szuora_column (item TEXT, name TEXT, PRIMARY KEY (item, name))]],
}

--- Makes the tables that every target has.
function tables.make_own(store)
  for _, statement in ipairs(tables.OWN) do store:run(statement:format(store.prefix)) end
  store:run(mark_table.CREATE:format(store.prefix))
end

local function check_owner(store, name, known, value)
  if known == nil or known == value then return end
  local cure = name == "version" and "" or ": name another in 'load'; or, if nothing of it is needed, drop its tables "
    .. "(zuora_target, zuora_loads, zuora_mark, zuora_column and zuora_deleted, too)"
  raise("plan", "the target %s belongs to the %s '%s', not '%s'%s", store.name, name, known, value, cure)
end

--- Says whose target it is from now on, or raises when it is another's.
function tables.belong_to(store, plan, tenant)
  for name, value in pairs { plan = plan, tenant = tenant, version = VERSION } do
    store:run(("INSERT INTO %szuora_target (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING"):format(store.prefix),
      name, value)
    check_owner(store, name,
      store:row(("SELECT value FROM %szuora_target WHERE name = ?"):format(store.prefix), name).value, value)
  end
end

--- Raises when a target is another's, and leaves it as it is.
---@param store table
---@param list string of its tables, as SQL that has `name`
---@param plan string
---@param tenant string
function tables.check_owner(store, list, plan, tenant)
  if not store:row(("SELECT 1 AS there FROM %s AS t WHERE t.name = 'zuora_target'"):format(list)) then return end
  local owner = tables.belongs(store)
  check_owner(store, "plan", owner.plan, plan)
  check_owner(store, "tenant", owner.tenant, tenant)
end

local function folder_of(store)
  local row = store:row(("SELECT value FROM %szuora_target WHERE name = 'folder'"):format(store.prefix))
  return row and row.value
end

--- Raises where the target was loaded from another folder of the plan, which is there yet (it was not moved): of two
--- that take turns neither has all windows.
---@param store table
---@param plan string
---@param output string the plan's folder
function tables.check_folder(store, plan, output)
  local known = folder_of(store)
  if not known or disk.is_same(known, output) or manifest.belongs(known).plan ~= plan then return end
  raise("plan", "the target %s is loaded from the folder %s: let that be the 'output', or move it to %s, or name "
    .. "another target", store.name, known, output)
end

--- Notes from which folder it is loaded.
function tables.note_folder(store, output)
  if disk.is_same(folder_of(store) or "", output) then return end
  store:run(("INSERT INTO %szuora_target (name, value) VALUES ('folder', ?) ON CONFLICT (name) DO UPDATE SET "
    .. "value = excluded.value"):format(store.prefix), disk.absolute(output))
end

--- Whose target it is, as far as that is known; raises when another version of this module has made it.
---@return { plan: string|nil, tenant: string|nil }
function tables.belongs(store)
  local owner = {}
  for _, row in ipairs(store:rows(("SELECT * FROM %szuora_target"):format(store.prefix))) do
    owner[row.name] = row.value
  end
  if owner.version and owner.version ~= VERSION then
    raise("plan", "the target %s belongs to the version '%s', not '%s'", store.name, owner.version, VERSION)
  end
  return owner
end

--- The statement that notes that a read is loaded, and what its question marks stand for.
tables.NOTE = [[INSERT INTO %szuora_loads (plan, item, entity, kind, read_from, read_to, generation, piece, records,
  sha256, loaded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)]]

---@param read table
---@return string ...
function tables.note_of(read)
  return read.plan, read.item, read.entity, read.kind, read.read_from, read.read_to, read.generation, read.piece,
    read.records, read.sha256, os.date "!%Y-%m-%dT%H:%M:%SZ"
end

--- Those of a list of reads that are not loaded.
---@return table[]
function tables.lacking(store, list)
  local missing = {}
  for _, read in ipairs(list) do
    local wheres, values = {}, {}
    for i, name in ipairs(reads.KEY) do wheres[i], values[i] = name .. " = ?", read[name] end
    if not store:row(("SELECT 1 AS there FROM %szuora_loads WHERE %s"):format(store.prefix,
      table.concat(wheres, " AND ")), table.unpack(values)) then missing[#missing + 1] = read end
  end
  return missing
end

--- What a target is and can do, whatever its database; it has a `store`.
--- What is of one database alone: columns(name), tables(), load(…) and counts(…).
---@return table class
function tables.class()
  local Target = {}
  Target.__index = Target
  --- Raises where the table of an item is not one that it could be loaded into. Gives the columns that were taken
  --- away from it, and are to be backfilled.
  function Target:check(item) return tables.check(self.store, item, self:columns(item.name), self.spec.columns) end
  --- The same as mark_table.all, but for items that have no table.
  function Target:marks(plan)
    local all, there = mark_table.all(self.store, plan), self:tables()
    for key in pairs(all) do
      if not there[ascii.lower(key:match "^(.*)/")] then all[key] = nil end
    end
    return all
  end
  --- See zuora.load.losses.
  function Target:gaps(item, mark) return losses.gaps(self.store, item, mark) end
  function Target:mark(of) return mark_table.get(self.store, of) end
  function Target:set_mark(of, before, after) mark_table.set(self.store, of, before, after) end
  function Target:reset(of, mark) return mark_table.reset(self.store, of, mark) end
  function Target:belong_to(plan, tenant) tables.belong_to(self.store, plan, tenant) end
  function Target:check_folder(plan, output) tables.check_folder(self.store, plan, output) end
  function Target:note_folder(output) tables.note_folder(self.store, output) end
  function Target:belongs() return tables.belongs(self.store) end
  function Target:lacking(list) return tables.lacking(self.store, list) end
  function Target:close() self.store:close() end
  Target.__close = Target.close
  return Target
end

--- The header of a file that is loaded together with those before it.
---@param path string
---@param header string[] its own
---@param before string[]|nil theirs
---@return string[] header
function tables.same_header(path, header, before)
  columns.check(path, header)
  if before and table.concat(header, "\31") ~= table.concat(before, "\31") then
    raise("incomplete", "%s: its header is not that of the piece before it", path)
  end
  return header
end

-- Kinds of reads that are loaded in a way of their own, into a table that is there.
local SPECIAL = { reconcile = "reconcile", backfill = "backfill", audit = "audit" }

--- The names of a table's columns.
---@param rows { name: string }[]
---@return table<string, string>|nil there by the same in lower case; nil: there is no such table
function tables.names(rows)
  local there = {}
  for _, column in ipairs(rows) do there[ascii.lower(column.name)] = column.name end
  return next(there) and there or nil
end

--- The names of tables, in lower case.
---@param rows { name: string }[]
---@return table<string, boolean>
function tables.set_of(rows)
  local there = {}
  for _, row in ipairs(rows) do there[ascii.lower(row.name)] = true end
  return there
end

--- Where the files of reads are.
---@param list table[] reads
---@param output string the plan's folder
---@return string[] paths
function tables.paths(list, output)
  local paths = {}
  for i, read in ipairs(list) do paths[i] = output .. "/" .. read.path end
  return paths
end

--- What is loaded of files, by their header.
---@param target table
---@param item table of a run
---@param list table[] the reads that they are of
---@param header string[]
---@param deleted string the column that says of a row that it is deleted
---@param bucket table|nil of an audit
---@param left_out table<string, boolean>|nil columns that are not loaded, in lower case
---@return table load see zuora.load.merge; besides of, bucket and changed (the cursor of the plan)
function tables.of_files(target, item, list, header, deleted, bucket, left_out)
  local read, prefix = list[1], target.store.prefix
  local mode = SPECIAL[read.kind:match "^%l+"] or item.mode or item.cursor and "merge" or "replace"
  local load = { columns = {}, mode = mode, bound = read.read_to, bucket = bucket, of = item.of,
    dialect = target.dialect, stage = target.stage, prefix = prefix, item = item.name,
    table = prefix .. dialects.quoted(item.name), deletes = target.spec.deletes, read = reads.name(read),
    entity = read.entity, records = 0,
    changed = item.cursor and { name = item.cursor, kind = item.types and item.types[item.cursor] } or nil }
  for _, part in ipairs(list) do load.records = load.records + tonumber(part.records) end
  local by_name = {}
  for _, staged in ipairs(header) do
    if staged == deleted then
      load.deleted = staged
    else
      local name = columns.plain(staged, item.object)
      local column = { name = name, staged = staged, kind = item.types and item.types[name] }
      local lower = ascii.lower(name)
      by_name[lower] = column
      if not (left_out and left_out[lower]) then load.columns[#load.columns + 1] = column end
    end
  end
  load.key, load.cursor = by_name[ascii.lower(item.key)], item.cursor and by_name[ascii.lower(item.cursor)] or nil
  if (mode == "merge" or SPECIAL[mode]) and not load.key then
    raise("plan", "%s: its file has no column %s, by which rows are merged: %s'mode': \"replace\" reads it whole",
      item.name, item.key, item.kind == "report" and "" or "name another 'key', or ")
  end
  if load.mode == "append" and not load.key and tonumber(read.generation) > 0 then
    raise("plan", "%s: it was set back, and its file has no column %s: rows would be there twice. Name another 'key'",
      item.name, item.key)
  end
  return load
end

--- Is it loaded in a way of its own, into what is there?
function tables.is_special(load) return SPECIAL[load.mode] ~= nil end

--- The statement that makes the table of an item.
function tables.create(load)
  if SPECIAL[load.mode] then
    raise("plan", "%s: the target has no table of it: `%s` has all of it read", load.item,
      phrases.command(load.of, "reset", load.item))
  end
  local list = {}
  for i, column in ipairs(load.columns) do
    list[i] = ("%s %s"):format(dialects.quoted(column.name), load.dialect.type_of(column.kind))
  end
  list[#list + 1] = ("%s %s"):format(dialects.quoted(merge.OWN.deleted), load.dialect.boolean)
  list[#list + 1] = ("%s TEXT"):format(dialects.quoted(merge.OWN.read))
  return ("CREATE TABLE IF NOT EXISTS %s (%s)"):format(load.table, table.concat(list, ", "))
end

--- The statements that note which columns a table has.
---@param load table
---@param is_new boolean it was made just now
---@return string[]
function tables.note_columns(load, is_new)
  local item, rows, list = dialects.literal(load.item), {}, {}
  for i, column in ipairs(load.columns) do
    rows[i] = ("(%s, %s)"):format(item, dialects.literal(ascii.lower(column.name)))
  end
  if is_new then list[1] = ("DELETE FROM %szuora_column WHERE item = %s"):format(load.prefix, item) end
  list[#list + 1] = ("INSERT INTO %szuora_column (item, name) VALUES %s ON CONFLICT DO NOTHING"):format(load.prefix,
    table.concat(rows, ", "))
  return list
end

--- The name of the index below.
function tables.index_name(load) return dialects.quoted("zuora_key_" .. load.item) end

--- The index that rows are found by when they are merged.
function tables.index(load)
  return ("CREATE INDEX IF NOT EXISTS %s ON %s (%s)"):format(tables.index_name(load), load.table,
    dialects.quoted(load.key.name))
end

local function check_own(name, there)
  for _, own in pairs(merge.OWN) do
    if not there[own] then
      raise("plan", "the table %s was not made by a plan: it has no column %s. Give the item another 'name'", name, own)
    end
  end
end

local function check_frozen(item, names)
  if #names == 0 then return end
  raise("plan", "%s: the file has columns that the table has not (%s), and the plan says \"columns\": \"freeze\"", item,
    table.concat(names, ", "))
end

--- Raises where what is gone on from was taken away: the table, or columns of it.
---@param store table of the target
---@param item table
---@param header string[] of what is to be loaded
---@param there table<string, string>|nil
---@param read table
---@return table<string, boolean>|nil left_out columns, in lower case, that come by a backfill alone: until then they
--- are missing, whatever ends the run
function tables.check_there(store, item, header, there, read)
  if not there then return losses.check_table(store, item, read) end
  local backfilled = losses.check_columns(store, item, header, there, read)
  return not read.kind:find "^backfill" and backfilled or nil
end

--- Can an item be loaded into the table that is there? Said before it is asked for, as far as it can be known.
---@param store table of the target
---@param item table
---@param there table<string, string>|nil
---@param policy "evolve"|"freeze"
---@return table<string, boolean>|nil backfilled columns that were taken away, in lower case
function tables.check(store, item, there, policy)
  if not there then return losses.check_table(store, item) end
  check_own(dialects.quoted(item.name), there)
  local missing = {}
  for _, name in ipairs(type(item.fields) == "table" and item.columns or {}) do
    if not there[ascii.lower(columns.plain(name, item.object))] then missing[#missing + 1] = name end
  end
  if policy == "freeze" then check_frozen(item.name, missing) end
  return losses.check_columns(store, item, columns.of(item), there)
end

--- The statements that add the columns which the file has and the table has not.
---@param load table
---@param there table<string, string> the names of columns, by the same in lower case
---@param policy "evolve"|"freeze"
---@return string[] statements, string[] names
local function additions(load, there, policy)
  check_own(load.table, there)
  load.names = there
  local statements, names = {}, {}
  for _, column in ipairs(load.columns) do
    if not there[ascii.lower(column.name)] then
      names[#names + 1] = column.name
      statements[#statements + 1] = ("ALTER TABLE %s %s %s %s"):format(load.table, load.dialect.add_column,
        dialects.quoted(column.name), load.dialect.type_of(column.kind))
    end
  end
  if policy == "freeze" then check_frozen(load.item, names) end
  return statements, names
end

--- The statements that make a table, or add what it has not, and note which columns it has then.
---@param load table
---@param there table<string, string>|nil its columns
---@param policy "evolve"|"freeze"
---@return string[] statements, string[] names of the columns that are new in a table that was there
function tables.statements(load, there, policy)
  local statements, names
  if there then
    statements, names = additions(load, there, policy)
  else
    statements, names = { tables.create(load) }, {}
  end
  local notes = tables.note_columns(load, not there)
  return table.move(notes, 1, #notes, #statements + 1, statements), names
end

return tables
