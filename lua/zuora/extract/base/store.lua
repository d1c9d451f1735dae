--- A database, by LuaDBI: SQL with texts in the place of question marks.
--
-- LuaDBI cuts integers to 32 bits and binds numbers as doubles, so everything here is text. What goes wrong is raised
-- as an error value.

local attempt = require "zuora.support.attempt"
local disk = require "zuora.extract.base.disk"
local error_value = require "zuora.error"

local raise = error_value.raise

local store = {}

local Store = {}
Store.__index = Store

-- What SQLite says of a file that is none of its own, or not any more.
local function is_broken(words)
  return words:find("not a database", 1, true) or words:find("malformed", 1, true)
end

-- What others have locked, and a server that is not there any more, is for the next run.
local function fail(self, words)
  words = tostring(words)
  local is_later = words:find("database is locked", 1, true) or words:find("lock timeout", 1, true)
    or self.is_server and words:find("connection", 1, true)
  if self.cure and is_broken(words) then words = words .. ": " .. self.cure end
  error(error_value.new { kind = "file", retryable = is_later and true, message = ("%s: %s"):format(self.name, words) },
    0)
end

local function texts(...)
  local values = table.pack(...)
  for i = 1, values.n do values[i] = tostring(values[i]) end
  return values
end

-- SQLite's statements that have question marks are few, and are kept: to prepare one costs more than to run it.
local function prepared(self, sql, is_kept)
  local statement = self.kept and self.kept[sql]
  if statement then return statement end
  local problem
  statement, problem = self.database:prepare(sql)
  if not statement then fail(self, problem) end
  if self.kept and is_kept then self.kept[sql] = statement end
  return statement
end

local function release(self, sql, statement)
  if not (self.kept and self.kept[sql]) then statement:close() end
end

local function executed(self, sql, values)
  local statement = prepared(self, sql, values.n > 0)
  local ok, wrong = statement:execute(table.unpack(values, 1, values.n))
  if not ok then
    if self.kept then self.kept[sql] = nil end
    statement:close()
    fail(self, wrong)
  end
  return statement
end

--- Runs a statement.
---@param sql string
---@param ... string|number what the question marks stand for
---@return integer count of the rows that it changed
function Store:run(sql, ...)
  local statement = executed(self, sql, texts(...))
  self.count = self.count + 1
  local count = statement:affected()
  release(self, sql, statement)
  return count
end

--- Hands the rows of a query to a function, one after another. Each is good until the next.
---@param f fun(row: table<string, string>)
---@param sql string
---@param ... string|number
function Store:each(f, sql, ...)
  local values = texts(...) -- named, for the collector: SQLite has their addresses, and compares each row with them
  local statement = executed(self, sql, values)
  for row in statement:rows(true) do f(row) end
  release(self, sql, statement)
end

--- All rows of a query, by the names of their columns.
---@return table<string, string>[]
function Store:rows(sql, ...)
  local list = {}
  self:each(function(row)
    local copy = {}
    for name, value in pairs(row) do copy[name] = value end
    list[#list + 1] = copy
  end, sql, ...)
  return list
end

--- A statement for many rows: add(cells) runs it with them.
---@param sql string
---@return fun(cells: string[]) add
---@return table statement to be closed
function Store:many(sql)
  local statement, problem = self.database:prepare(sql)
  if not statement then fail(self, problem) end
  local function add(cells)
    local ok, wrong = statement:execute(table.unpack(cells))
    if not ok then fail(self, wrong) end
  end
  return add, setmetatable({}, { __close = function() statement:close() end })
end

--- The first row, or nil.
function Store:row(sql, ...) return self:rows(sql, ...)[1] end

--- Runs f in a transaction of its own: all of it, or nothing.
---@param f function
---@return any ... what f gives
function Store:transaction(f)
  self:run(self.begin)
  -- (A COMMIT may have to wait too long for somebody who reads: then nothing has been done.)
  local results = table.pack(pcall(function()
    local given = table.pack(f())
    self:run "COMMIT"
    return table.unpack(given, 1, given.n)
  end))
  if not results[1] then
    pcall(self.run, self, "ROLLBACK")
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

--- From now on a COMMIT is found again after the end of the process, and, with the next `sync`, after a loss of power,
--- too: one sync is for all that was committed before it. Else each COMMIT is one by itself.
function Store:sync_by_hand()
  local mode = self:row "PRAGMA journal_mode = WAL"
  if not mode or mode.journal_mode ~= "wal" then return end
  self:run "PRAGMA synchronous = NORMAL"
  self.log, self.synced = self.name .. "-wal", 0
end

--- Makes sure that all that was committed is there after a loss of power.
---@param pause fun()|nil lets others come here, too, for whom the same sync is good
function Store:sync(pause)
  local mine = self.count
  if not self.log or self.synced >= mine then return end
  if pause then pause() end
  if self.synced >= mine then return end
  local newest = self.count
  disk.sync(self.log)
  self.synced = newest
end

function Store:close()
  for _, statement in pairs(self.kept or {}) do statement:close() end
  if self.database then self.database:close() end
  self.database, self.kept = nil, nil
end

Store.__close = Store.close

local function connect(driver, package, where, name)
  local found, dbi = attempt(require, "DBI")
  if not found or not attempt(require, "dbd." .. package) then
    raise("plan", "this needs LuaDBI (Debian: lua-dbi-%s, LuaRocks: luadbi-%s)", package, package)
  end
  local ok, database, problem = pcall(dbi.Connect, driver, where)
  if not ok or not database then
    error(error_value.new { kind = "file", retryable = driver == "PostgreSQL",
      message = ("%s: cannot be opened: %s"):format(name,
      error_value.clean(tostring(not ok and database or problem), 300)) }, 0)
  end
  database:autocommit(true)
  return database
end

--- Opens a database of SQLite.
---@param path string
---@param looks boolean|nil true: where there is none, none is made: what is in it is nothing; false: it is made
---@param cure string|nil what to do where it is damaged
---@return table store
function store.open(path, looks, cure)
  local where = looks and not disk.is_there(path) and ":memory:" or path
  return setmetatable({ database = connect("SQLite3", "sqlite3", where, path), name = path, prefix = "", kept = {},
    count = 0, begin = "BEGIN IMMEDIATE", cure = cure }, Store)
end

--- What a database is called in messages: a password in its address is nobody's business.
---@param uri string
---@return string
function store.name_of(uri)
  return (uri:gsub("(//[^/@:?]*):[^?]*@", "%1:***@"):gsub("(password=)[^&]*", "%1***"))
end

--- Opens a database of PostgreSQL.
---@param uri string "postgresql://…", or what else libpq understands
---@param schema string that our tables are in
---@return table store
function store.connect(uri, schema)
  local name = store.name_of(uri)
  return setmetatable({ database = connect("PostgreSQL", "postgresql", uri, name), name = name, begin = "BEGIN",
    is_server = true, count = 0, prefix = '"' .. schema:gsub('"', '""') .. '".' }, Store)
end

--- The lock of a store: one run holds it, and the kernel takes it from a process that ends.
---@param path string the store's
---@return table|nil lock to be closed; nil: another run has it
function store.lock(path)
  local self = store.open(path .. ".lock", false, "remove it; there is nothing in it")
  local ok, problem = pcall(self.run, self, "BEGIN EXCLUSIVE")
  if ok then return self end
  self:close()
  if not problem.retryable then error(problem, 0) end
  return nil
end

return store
