--- Loads files into SQLite, by LuaDBI.

local counts = require "zuora.load.counts"
local dialects = require "zuora.load.dialects"
local disk = require "zuora.extract.base.disk"
local error_value = require "zuora.error"
local merge = require "zuora.load.merge"
local rows = require "zuora.rows"
local store = require "zuora.extract.base.store"
local tables = require "zuora.load.tables"

local raise = error_value.raise

local sqlite = {}

local Target = tables.class()

local STAGE = "temp.zuora_stage"

-- KiB of pages in memory: what is usual (a first load is faster with it), and for a merge. The keys of new rows lie
-- anywhere in the index: what is not in memory is read and written again for each of them.
local CACHE, MERGE_CACHE = "PRAGMA cache_size = -2000", "PRAGMA cache_size = -65536"

-- Where it is damaged.
local CURE = "put a backup in its place, or remove it; the next run loads what it lacks"

-- --- staging ------------------------------------------------------------------------------------------

-- Makes the stage, and gives the statement that fills it.
local function make_stage(self, header)
  local names, marks = {}, {}
  for i, name in ipairs(header) do names[i], marks[i] = dialects.quoted(name) .. " TEXT", "?" end
  self.store:run("DROP TABLE IF EXISTS " .. STAGE)
  self.store:run(("CREATE TEMP TABLE zuora_stage (%s)"):format(table.concat(names, ", ")))
  return ("INSERT INTO %s VALUES (%s)"):format(STAGE, table.concat(marks, ", "))
end

local function header_of(path)
  local it <close>, problem = rows.of_file(path, { form = "lazy" })
  if not it then error(problem, 0) end
  return tables.same_header(path, it.columns)
end

-- Runs a statement for all rows of the files, with their cells as texts.
local function fill(self, paths, header, sql)
  local add, _ <close> = self.store:many(sql)
  for _, path in ipairs(paths) do
    local it <close>, problem = rows.of_file(path, { form = "array" })
    if not it then error(problem, 0) end
    tables.same_header(path, it.columns, header)
    for row in it do add(row) end
  end
end

-- --- loading ------------------------------------------------------------------------------------------

--- What the columns of a table are called, by their names in lower case; nil: there is none.
---@param name string
---@return table<string, string>|nil
function Target:columns(name)
  return tables.names(self.store:rows("SELECT name FROM pragma_table_info(?)", name))
end

--- The tables that there are: their names in lower case.
---@return table<string, boolean>
function Target:tables()
  return tables.set_of(self.store:rows "SELECT name FROM sqlite_master WHERE type <> 'index'")
end

-- Gives the names of columns that are new, and whether there is nothing in the table.
local function prepare_table(self, load, there)
  local statements, names = tables.statements(load, there, self.spec.columns)
  for _, statement in ipairs(statements) do self.store:run(statement) end
  return names, not (there and self.store:row(("SELECT 1 FROM %s LIMIT 1"):format(load.table)))
end

local function first_value(row)
  local _, value = next(row or {})
  return tostring(value)
end

local function check(self, load, step)
  local found = first_value(self.store:row(step.sql))
  if found == step.check then return end
  if step.problem == "count" then
    raise("incomplete", "%s: %s rows were staged, and %s are in the file", load.item, found, step.check)
  end
  if step.problem == "keyless" then
    raise("incomplete", "%s: a row of the file has no %s", load.item, load.key.name)
  end
  if step.problem == "missing" then raise("incomplete", tables.SWALLOWED, load.item) end
  local twice = self.store:row(("SELECT %s AS id FROM %s GROUP BY 1 HAVING COUNT(*) > 1 LIMIT 1"):format(
    dialects.quoted(load.key.staged), load.stage))
  raise("incomplete", "%s: the %s '%s' is there twice in one file", load.item, load.key.name,
    error_value.clean(twice.id, 60))
end

-- Into a table that is empty, or whose rows are all replaced, they go without a stage, before there is an index, and
-- are checked in there: in half the time.
local function load_whole(self, load, paths, header)
  self.store:run("DROP INDEX IF EXISTS " .. tables.index_name(load))
  self.store:run("DELETE FROM " .. load.table)
  fill(self, paths, header, merge.direct(load, header))
  if load.key then self.store:run(tables.index(load)) end
  for _, step in ipairs(merge.checks(load)) do check(self, load, step) end
end

local function load_more(self, load, paths, header)
  self.store:run(MERGE_CACHE)
  fill(self, paths, header, make_stage(self, header))
  for _, step in ipairs(merge.statements(load)) do
    if step.check then check(self, load, step) else self.store:run(step.sql) end
  end
  self.store:run("DROP TABLE " .. STAGE)
  self.store:run(CACHE)
end

-- Notes that these reads are loaded; false: all of them were before.
local function note_loads(self, list)
  local new = 0
  for _, read in ipairs(list) do
    new = new + self.store:run(tables.NOTE:format("") .. " ON CONFLICT DO NOTHING", tables.note_of(read))
  end
  return new > 0
end

--- Brings the files of reads into their table, in one transaction with the mark. What has been loaded before is not
--- loaded again.
---@param item table
---@param list table[] reads; more than one: the pieces of a whole that replaces what is there
---@param output string where their files are
---@param deleted string the column that says of a row that it is deleted
---@param advance fun(book: table)|nil moves the mark
---@param bucket table|nil what a read of kind audit is about
---@return string[] added the columns that are new
function Target:load(item, list, output, deleted, advance, bucket)
  local paths = tables.paths(list, output)
  return self.store:transaction(function()
    local there, header = self:columns(item.name), header_of(paths[1])
    local left_out = tables.check_there(self.store, item, header, there, list[1])
    if not note_loads(self, list) then return {} end
    local load = tables.of_files(self, item, list, header, deleted, bucket, left_out)
    local added, is_empty = prepare_table(self, load, there)
    local is_new = is_empty and not tables.is_special(load) and not (load.deletes == "remove" and load.deleted)
    if load.mode == "replace" and load.entity == "" or is_new then
      load_whole(self, load, paths, header)
    else
      load_more(self, load, paths, header)
    end
    if advance then advance(self) end
    return added
  end)
end

--- Counts what is in a table; see zuora.load.counts.
---@param subject table
---@param path string a file of the keys that do not count
---@return table<string, table<string, string>> by the buckets' keys
function Target:counts(subject, path)
  return self.store:transaction(function()
    local header = header_of(path)
    fill(self, { path }, header, make_stage(self, header))
    local found = counts.read(self, subject, self.store:rows(counts.query(self, subject, STAGE, header)))
    self.store:run("DROP TABLE " .. STAGE)
    return found
  end)
end

--- Raises when a target is another's, and makes nothing.
function sqlite.check_owner(path, _, plan, tenant)
  local held <close> = store.open(path, true, CURE)
  held:run(("PRAGMA busy_timeout = %d"):format(tables.LOCK_SECONDS * 1000 // 1))
  tables.check_owner(held, "sqlite_master", plan, tenant)
end

--- Opens a target.
---@param path string
---@param spec table of the plan
---@param _ any
---@param looks boolean|"unless there"|nil see zuora.load
function sqlite.open(path, spec, _, looks)
  if looks == "unless there" then looks = not disk.is_there(path) end
  local self = setmetatable({ store = store.open(path, looks, CURE), spec = spec, dialect = dialects.sqlite,
    stage = STAGE }, Target)
  self.store:run(("PRAGMA busy_timeout = %d"):format(tables.LOCK_SECONDS * 1000 // 1))
  self.store:run "PRAGMA synchronous = FULL"
  if looks then self.store:run "BEGIN" end -- and no COMMIT
  tables.make_own(self.store)
  return self
end

return sqlite
