--- zuora.tap: a Singer tap. It writes objects of Zuora as SCHEMA, RECORD and STATE messages, which any loader of
--- Singer's takes; configuration, catalogue and state are those of tap-zuora.
--
--     local tap = require "zuora.tap"
--     local config = assert(tap.config "config.json")
--     local found = assert(tap.discover(client, { select = { "Account" } }))
--     local results = assert(tap.run(client, found, { start = config.start, write = write }))

local catalogue = require "zuora.tap.catalogue"
local check = require "zuora.support.check"
local config = require "zuora.tap.config"
local json = require "zuora.extract.base.json"
local messages = require "zuora.tap.messages"
local state = require "zuora.tap.state"
local sync = require "zuora.tap.sync"

local guarded = require "zuora.error".guarded

local tap = {}

local function nothing() end

--- Reads a configuration: tap-zuora's keys, and settings of zuora.new.
---@param path string
---@return table|nil config settings, tenants, plan, start, select, decimals, unknown
---@return zuora.Error|nil err of kind `plan`
function tap.config(path)
  check.value("zuora.tap.config", "path", path, "line")
  return guarded(config.read, path)
end

--- tap-zuora's configuration does not always say which data centre it means: the one that knows the credentials.
---@param environments string[]
---@param make fun(environment: string): zuora.Client
---@return zuora.Client|nil client, zuora.Error|nil err
function tap.find(environments, make)
  for i, environment in ipairs(environments) do
    local client = make(environment)
    local err
    if #environments > 1 then err = select(2, client.describe:objects()) end
    if not err then return client end
    if err.kind ~= "auth" or err.retryable or i == #environments then return nil, err end
  end
end

--- Reads a file that holds a JSON object: a catalogue, or a state.
---@param path string
---@return table|nil value, zuora.Error|nil err
function tap.read(path)
  check.value("zuora.tap.read", "path", path, "line")
  return guarded(config.object, path)
end

--- Which objects there are, as a catalogue. GET /v1/describe, and each object's. Nothing is started.
---@param client zuora.Client
---@param options { select: string[]|nil, log: fun(line: string)|nil }|nil select: these alone, and all of them selected
---@return { streams: table[] }|nil catalogue, zuora.Error|nil err
function tap.discover(client, options)
  options = check.options("zuora.tap.discover", options, { select = "list", log = "function" })
  local log = options.log or nothing ---@type fun(line: string)
  return guarded(catalogue.discover, client, options.select, function(words) log("WARNING " .. words) end)
end

--- A catalogue as it stands in a file.
---@param of table
---@return string
function tap.encode(of) return json.encode(of) end

local RUN = { state = "any", plan = "any", start = "integer", decimals = "text", poll = "seconds", wait = "limit",
  tmpdir = "line", write = "function!", log = "function" }

--- Reads all selected streams of a catalogue, and writes messages.
---@param client zuora.Client
---@param of table the catalogue
---@param options table write(text): is given whole lines, and ends the run by raising what is no error value; state:
--- of the run before; start: seconds since the epoch, for streams without a bookmark; decimals: "number" (as they
--- stand) or "string"; plan: every, settle, wait, concurrency, split; poll: the first pause between two looks at a job
--- (1 s); wait: seconds for one; tmpdir ("/tmp"); log(line)
---@return { item: string, records: integer, err: zuora.Error|nil }[]|nil results
---@return zuora.Error|nil err
function tap.run(client, of, options)
  options = check.options("zuora.tap.run", options, RUN)
  return guarded(function()
    local streams, from = catalogue.selected(of), state.read(options.state)
    local log = options.log or nothing ---@type fun(line: string)
    if #streams == 0 then
      log "WARNING no stream of the catalogue is selected"
      options.write(messages.state(from.value))
      return {}
    end
    return sync.run(client, streams, { state = from, plan = options.plan or {}, start = options.start,
      decimals = options.decimals or "number", poll = options.poll, wait = options.wait,
      tmpdir = options.tmpdir or "/tmp", write = options.write, log = log })
  end)
end

return tap
