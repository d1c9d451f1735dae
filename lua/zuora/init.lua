--- zuora: report runs, AQuA jobs and their results, from Lua.
--
--     local zuora <const> = require "zuora"
--     local client <close> = zuora.new { environment = "us2-sandbox", client_id = id, client_secret = secret }
--     local run = assert(client.reportruns:start(report_id, { view = "Detail" }))
--     assert(run:wait { timeout = 600 })
--     for row in assert(run:rows()) do print(row["Account.Name"]) end

local check = require "zuora.support.check"
local client = require "zuora.client"
local codes = require "zuora.codes"
local core = require "zuora.core"
local hosts = require "zuora.caller.hosts"
local rows = require "zuora.rows"
local time = require "zuora.time"

---@class zuora
---@field _VERSION string
---@field null lightuserdata JSON's null in lists: absent in objects
---@field decode fun(text: string): any, string|nil integers stay integers; nil and why for what is no JSON
---@field encode fun(value: any): string
---@field escape fun(text: string): string for a path: "A 1" is "A%201"
---@field aqua_codes table<string, { meaning: string, advice: string|nil, retryable: boolean|nil }> what AQuA's codes
--- mean
---@field environments table<string, table<string, string>> by name, their hosts
local zuora = {
  _VERSION = client.VERSION,
  null = core.null,
  decode = core.decode,
  encode = core.encode,
  rows = rows.of_file,
  time = time,
  escape = core.escape,
  aqua_codes = codes.aqua,
  environments = hosts.environments,
}

--- Makes a client: see client.new.
---@param options zuora.Options
---@return zuora.Client
function zuora.new(options)
  if options == zuora then check.misuse "zuora.new was called with a colon: write it with a dot" end
  return client.new(options)
end

return zuora
