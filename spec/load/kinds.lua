--- The two kinds of targets that a plan loads into, as the specs reach them: by the folder that a world lies in.

local cluster = require "spec.load.cluster"
local store = require "zuora.extract.base.store"
local support = require "spec.support"

---@class spec.load.Kind
---@field missing string|nil why it cannot be tried here
---@field database table|nil of PostgreSQL: the cluster, between setup and teardown
local Kind = {}
Kind.__index = Kind

function Kind:rows(folder, sql)
  local one <close> = self.open(folder)
  return one:rows(sql)
end

function Kind:run(folder, sql)
  local one <close> = self.open(folder)
  return one:run(sql)
end

local sqlite = setmetatable({ setup = function() end, teardown = function() end }, Kind)

function sqlite.to(folder) return "sqlite:" .. folder .. "/dw.db" end
function sqlite.open(folder) return store.open(folder .. "/dw.db") end
function sqlite.save(folder) support.shell(("cp %s/dw.db %s/dw.db.old"):format(folder, folder)) end
function sqlite.restore(folder) support.shell(("cp %s/dw.db.old %s/dw.db"):format(folder, folder)) end
function sqlite.forget(folder) support.shell(("rm -f %s/dw.db"):format(folder)) end

local postgresql = setmetatable({ missing = cluster.missing() }, Kind)

function postgresql.setup() postgresql.database = cluster.start() end
function postgresql.teardown() postgresql.database:stop() end
function postgresql.to() return postgresql.database.uri end
function postgresql.open() return store.connect(postgresql.database.uri, "public") end

function postgresql.save()
  local database = postgresql.database
  database:run(("pg_dump --clean --if-exists -f %s/dump '%s'"):format(database.folder, database.uri))
end

function postgresql.restore()
  local database = postgresql.database
  postgresql.forget()
  database:run(("psql -X -q -d '%s' -f %s/dump"):format(database.uri, database.folder))
end

function postgresql.forget()
  local one <close> = postgresql.open()
  one:run "SET client_min_messages = warning"
  one:run "DROP SCHEMA public CASCADE"
  one:run "CREATE SCHEMA public"
end

return { SQLite = sqlite, PostgreSQL = postgresql }
