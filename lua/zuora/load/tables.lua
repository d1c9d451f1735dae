--- The tables of a target: what a file's columns are called and are in it, and what has to be made or added.

local columns = require "zuora.extract.columns"
local dialects = require "zuora.load.dialects"
local error_value = require "zuora.error"
local mark_table = require "zuora.extract.mark_table"
local merge = require "zuora.load.merge"

local tables = {}

-- Of what is below: one of another version is refused.
local VERSION = "1"

--- The tables that every target has.
tables.OWN = {
  [[CREATE TABLE IF NOT EXISTS %szuora_target (name TEXT PRIMARY KEY, value TEXT)]],
  [[CREATE TABLE IF NOT EXISTS %szuora_loads (plan TEXT, item TEXT, entity TEXT, kind TEXT, read_from TEXT,
    read_to TEXT, generation TEXT, piece TEXT, records TEXT, sha256 TEXT, loaded_at TEXT,
    PRIMARY KEY (plan, item, entity, kind, read_from, read_to, generation, piece))]],
  [[CREATE TABLE IF NOT EXISTS %szuora_deleted (item TEXT, id TEXT, at TEXT, PRIMARY KEY (item, id))]],
}

--- Makes the tables that every target has.
function tables.make_own(store)
  for _, statement in ipairs(tables.OWN) do store:run(statement:format(store.prefix)) end
  store:run(mark_table.CREATE:format(store.prefix))
end

--- Says whose target it is from now on, or raises when it is another's.
function tables.belong_to(store, plan, tenant)
  for name, value in pairs { plan = plan, tenant = tenant, version = VERSION } do
    store:run(("INSERT INTO %szuora_target (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING"):format(store.prefix),
      name, value)
    local known = store:row(("SELECT value FROM %szuora_target WHERE name = ?"):format(store.prefix), name).value
    if known ~= value then
      error(error_value.new { kind = "plan", message = ("the target %s belongs to the %s '%s', not '%s'"):format(
        store.name, name, known, value) }, 0)
    end
  end
end

local function fail(words, ...)
  error(error_value.new { kind = "plan", message = words:format(...) }, 0)
end

--- What is loaded of a file, by its header.
---@param item table of a run
---@param header string[]
---@param deleted string the column that says of a row that it is deleted
---@param is_again boolean may its rows have been loaded before, by another read?
---@return table load columns, key, cursor, deleted, mode
function tables.of_file(item, header, deleted, is_again)
  local load = { columns = {}, mode = item.mode or item.cursor and "merge" or "replace" }
  local by_name = {}
  for _, staged in ipairs(header) do
    if staged == deleted then
      load.deleted = staged
    else
      local name = columns.plain(staged, item.object)
      local column = { name = name, staged = staged, kind = item.types and item.types[name] }
      load.columns[#load.columns + 1], by_name[name:lower()] = column, column
    end
  end
  load.key, load.cursor = by_name[item.key:lower()], item.cursor and by_name[item.cursor:lower()] or nil
  if load.mode == "merge" and not load.key then
    fail("%s: its file has no column %s, by which rows are merged: name another 'key', or 'mode': \"replace\"",
      item.name, item.key)
  end
  if load.mode == "append" and not load.key and is_again then
    fail("%s: it was set back, and its file has no column %s: rows would be there twice. Name another 'key'", item.name,
      item.key)
  end
  return load
end

--- The statement that makes the table of an item.
function tables.create(load)
  local list = {}
  for i, column in ipairs(load.columns) do
    list[i] = ("%s %s"):format(dialects.quoted(column.name), load.dialect.type_of(column.kind))
  end
  list[#list + 1] = ("%s %s"):format(dialects.quoted(merge.OWN.deleted), load.dialect.boolean)
  list[#list + 1] = ("%s TEXT"):format(dialects.quoted(merge.OWN.read))
  return ("CREATE TABLE IF NOT EXISTS %s (%s)"):format(load.table, table.concat(list, ", "))
end

--- The name of the index below.
function tables.index_name(load) return dialects.quoted("zuora_key_" .. load.item) end

--- The index that rows are found by when they are merged.
function tables.index(load)
  return ("CREATE INDEX IF NOT EXISTS %s ON %s (%s)"):format(tables.index_name(load), load.table,
    dialects.quoted(load.key.name))
end

--- The statements that add the columns which the file has and the table has not.
---@param load table
---@param there table<string, boolean> names of columns, in lower case
---@param policy "evolve"|"freeze"
---@return string[] statements, string[] names
function tables.additions(load, there, policy)
  for _, name in pairs(merge.OWN) do
    if not there[name] then
      fail("the table %s was not made by a plan: it has no column %s. Give the item another 'name'", load.table, name)
    end
  end
  local statements, names = {}, {}
  for _, column in ipairs(load.columns) do
    if not there[column.name:lower()] then
      names[#names + 1] = column.name
      statements[#statements + 1] = ("ALTER TABLE %s %s %s %s"):format(load.table, load.dialect.add_column,
        dialects.quoted(column.name), load.dialect.type_of(column.kind))
    end
  end
  if policy == "freeze" and #names > 0 then
    fail("%s: the file has columns that the table has not (%s), and the plan says \"columns\": \"freeze\"", load.item,
      table.concat(names, ", "))
  end
  return statements, names
end

return tables
