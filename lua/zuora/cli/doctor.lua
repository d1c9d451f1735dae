--- `zuora doctor`: looks for what keeps it from working, from this machine to the tenant, and says the cause and the
--- cure.

local machine = require "zuora.cli.doctor.machine"

local doctor = {}

-- Each line is told, and the first that fails says how it ends: what fails after it may be its doing.
local function reporter(out)
  local code = 0
  return function(state, subject, text, cure, failed)
    if state == "fail" and code == 0 then code = failed or 1 end
    out:line(state, subject, text, cure)
  end, function() return code end
end

-- What can be asked once the machine is in order.
local function examine(report, settings, origin, more)
  local network, tenant = require "zuora.cli.doctor.network", require "zuora.cli.doctor.tenant"
  local client <close>, problem = tenant.client(settings)
  if not client then
    return report("fail", "settings", problem, "zuora help environment says what there is to set", 2)
  end
  for _, url in ipairs(network.origins(settings)) do
    if not network.check(report, settings, origin, url, more.now or os.time) then return end
  end
  if not tenant.token(report, settings, client, more.environments) then return end
  tenant.permissions(report, client)
  tenant.limits(report, client)
end

--- Looks at everything, and tells of each.
---@param settings table what zuora.new is to be given
---@param origin table<string, string> where each came from: "flag", "environment ZUORA_X", "profile NAME"
---@param out { line: fun(self: any, state: "ok"|"note"|"fail", subject: string, text: string, cure: string|nil) }
---@param more table|nil config: the file that profiles are in; problem: why there are no (whole) settings; and what
--- specs put in the place of the world's: environments, now
---@return integer code for the end of the process: 0, or that of the first failure
function doctor.run(settings, origin, out, more)
  more = more or {}
  local report, code = reporter(out)
  if not machine.versions(report) then return code() end
  machine.config(report, more.config)
  machine.settings(report, settings, origin)
  machine.disks(report, settings)
  if more.problem then
    report("fail", "settings", more.problem, "zuora help environment says what there is to set", 2)
  else
    examine(report, settings, origin, more)
  end
  return code()
end

return doctor
