--- A database of PostgreSQL that outlives its connections: after one was lost the next statement opens another. What
--- was under way is raised, as what may be tried again: nobody knows whether it was done.

local core = require "zuora.core"
local error_value = require "zuora.error"
local psql = require "zuora.extract.base.psql"
local store = require "zuora.extract.base.store"

local server = {}

local Server = {}

-- "zuora": who makes tables at the same moment waits for the other.
local MAKING = "SELECT pg_advisory_xact_lock(2054517105)"

local function connect(self)
  local inner = store.connect(self.uri, self.schema)
  for _, statement in ipairs(self.setup) do inner:run(statement) end
  self.inner, self.name, self.prefix, self.methods = inner, inner.name, inner.prefix, getmetatable(inner).__index
end

local function is_lost(inner)
  local ok, there = pcall(inner.row, inner, "SELECT 1 AS there")
  return not (ok and there)
end

local function forget(self)
  local inner = self.inner
  self.inner = nil
  if inner then pcall(inner.close, inner) end
end

-- What is raised while there is no connection may pass by itself.
local function lose(self, err)
  forget(self)
  if error_value.is(err) then err.retryable, err.is_lost = true, true end
  return err
end

local function through(self, method, ...)
  if not self.inner then
    local ok, problem = pcall(connect, self)
    if not ok then error(lose(self, problem), 0) end
  end
  local inner = self.inner
  local results = table.pack(pcall(inner[method], inner, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  if not self.is_within and is_lost(inner) then lose(self, results[2]) end
  error(results[2], 0)
end

-- What a store can do it does by the connection that there is.
function Server:__index(name)
  local methods = rawget(self, "methods")
  if Server[name] or not (methods and methods[name]) then return Server[name] end
  return function(_, ...) return through(self, name, ...) end
end

--- Runs f in a transaction, or in the one that there is.
function Server:transaction(f)
  if self.is_within then return f() end
  self:run "BEGIN"
  self.is_within = true
  local results = table.pack(pcall(f))
  self.is_within = nil
  if not results[1] then
    if not pcall(self.inner.run, self.inner, "ROLLBACK") then lose(self, results[2]) end
    error(results[2], 0)
  end
  self:run "COMMIT"
  return table.unpack(results, 2, results.n)
end

--- Makes what is not there; nobody else does so meanwhile.
---@param f function
function Server:make(f)
  self:transaction(function()
    self:rows(MAKING)
    f()
  end)
end

--- The seconds since the epoch by the database's clock, whatever this machine's says.
---@return integer
function Server:clock()
  local now = core.now()
  if not self.told_at or now - self.told_at > 60 then
    local row = self:row "SELECT CAST(extract(epoch FROM clock_timestamp()) AS TEXT) AS now"
    self.told, self.told_at = tonumber(row.now), core.now()
  end
  return math.floor(self.told + core.now() - self.told_at)
end

--- The next statement has a connection of its own.
function Server:reconnect() forget(self) end

Server.close = forget
Server.__close = forget

-- LuaDBI does not say why. What does not pass by itself is the user's to put right.
local function explain(self, err)
  if not (error_value.is(err) and err.retryable) then return err end
  local words, kind = psql.refusal(self.uri)
  if not words then return err end
  return error_value.new { kind = kind or err.kind, retryable = kind == nil,
    message = ("%s: cannot be opened: %s"):format(store.name_of(self.uri), words) }
end

--- Opens a database.
---@param uri string "postgresql://…"
---@param schema string that our tables are in
---@param setup string[] statements that each connection begins with
---@return table server it can do what zuora.extract.base.store's can
function server.connect(uri, schema, setup)
  local self = setmetatable({ uri = uri, schema = schema, setup = setup }, Server)
  local ok, problem = pcall(connect, self)
  if not ok then error(explain(self, problem), 0) end
  return self
end

return server
