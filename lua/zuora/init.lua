--- zuora: report runs, AQuA jobs and their results, from Lua.
--
--     local zuora <const> = require "zuora"
--     local client <close> = zuora.new { environment = "us2-sandbox", client_id = id, client_secret = secret }
--     local run = assert(client.reportruns:start(report_id, { view = "Detail" }))
--     assert(run:wait { timeout = 600 })
--     assert(run:export "report.csv")

local client = require "zuora.client"
local core = require "zuora.core"
local hosts = require "zuora.hosts"

return {
  _VERSION = client.VERSION,
  new = function(options) return client.new(options) end,
  null = core.null,
  environments = hosts.environments,
}
