--- A PostgreSQL of the specs' own: thrown away afterwards, on a socket in a scratch folder, and on no port. (PostgreSQL
--- does not run as root: there it is user postgres, who comes with the package.)

local support = require "spec.support"

local cluster = {}
cluster.__index = cluster

local function bin() return support.shell "ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1":match "%S+" end

--- Why there is none here, or nil.
function cluster.missing()
  if not bin() then return "postgresql is not installed" end
  if support.shell "command -v psql" == "" then return "psql is not installed" end
end

function cluster:run(command)
  local user = support.shell "id -u" == "0\n" and "runuser -u postgres -- " or ""
  local text, status = support.shell(("cd / && %s%s 2>&1"):format(user, command))
  assert(status == 0, text)
  return text
end

local function start(self)
  self:run(("%s/pg_ctl -D %s/data -w -l %s/log -o \"-c listen_addresses='' -c fsync=off -k %s\" start"):format(self.bin,
    self.folder, self.folder, self.folder))
end

function cluster.start()
  -- A socket's path is short: what is below the tree might not be.
  local folder = support.shell "mktemp -d /tmp/zuora-pg-XXXXXX":match "%S+"
  support.shell("chmod 777 " .. folder)
  local self = setmetatable({ folder = folder, bin = bin() }, cluster)
  self:run(("%s/initdb -D %s/data -A trust -U postgres -E UTF8 --locale=C --no-sync"):format(self.bin, folder))
  start(self)
  self.uri = ("postgresql:///postgres?host=%s&user=postgres"):format(folder)
  return self
end

--- Stops it in a way of pg_ctl's ("immediate": as though it had been killed), and starts it again.
function cluster:restart(mode)
  self:run(("%s/pg_ctl -D %s/data -m %s stop"):format(self.bin, self.folder, mode))
  start(self)
end

cluster.start_again = start

function cluster:stop()
  pcall(self.run, self, ("%s/pg_ctl -D %s/data -m immediate stop"):format(self.bin, self.folder))
  support.shell("rm -rf " .. self.folder)
end

cluster.__close = cluster.stop

return cluster
