--- The tenant that a soak works on: what it holds, what may go wrong with it, and what its results must be.

local json = require "zuora.simulator.engine.json"
local objects = require "zuora.simulator.engine.objects"
local tenants = require "zuora.simulator.engine.tenant"
local text = require "zuora.simulator.engine.text"

local tenant = {}

-- --- what it holds -----------------------------------------------------------------------------------

local NAMES = { "Northwind", "Smith, \"Jim\" & Sons", "two\nlines", "Ærøskøbing", "日本語", "", "\"", "tab\there" }
local STATUSES = { "Active", "Canceled", "Draft" }

local function accounts()
  local rows = {}
  for i = 1, 400 do
    rows[i] = { ("a%04d"):format(i), NAMES[i % #NAMES + 1], STATUSES[i % 3 + 1], ("%d.%02d"):format(i * 7 % 1000, i % 100),
      ("2026-03-%02dT%02d:00:00+0000"):format(i % 28 + 1, i % 24) }
  end
  return rows
end

local function invoices()
  local rows = {}
  for i = 1, 900 do rows[i] = { ("i%04d"):format(i), ("a%04d"):format(i % 450 + 1), tostring(i % 37) } end
  return rows
end

--- Rows with their header, as comma-separated text.
---@param columns string[]
---@param rows fun(): any[]|nil
function tenant.text(columns, rows)
  local lines = { text.line(columns, #columns, ",") }
  for row in rows do lines[#lines + 1] = text.line(row, #columns, ",") end
  return table.concat(lines)
end

--- The id of one of its reports.
function tenant.report(number) return ("ff80808152%022d"):format(number) end

---@param reports integer how many
function tenant.settings(reports)
  local settings = {
    objects = {
      Account = { columns = { "Id", "Name", "Status", "Balance", "UpdatedDate" }, rows = accounts() },
      Invoice = { columns = { "Id", "AccountId", "Amount" }, rows = invoices() },
      Big = { generate = { rows = 12000, seed = 7, awkward = true } },
    },
    reports = {}, segment_rows = 250, concurrent_requests = 10000, requests_per_minute = 10000000, concurrent_jobs = 10000,
  }
  for i = 1, reports do
    settings.reports[tenant.report(i)] = { columns = { "Account.Id", "Account.Name", "Account.Status", "Account.Balance" },
      generate = { rows = 300 * (i % 4 + 1), seed = i, awkward = true } }
  end
  return settings
end

tenant.queries = {
  plain = "select Id, Name, Status, Balance, UpdatedDate from Account",
  sorted = "select Id, Balance from Account where Balance > 100 order by Balance desc, Id limit 300",
  joined = "select Id, Amount, Account.Name from Invoice where Account.Status in ('Active', 'Draft') or Amount is null",
  counted = "select Status, count(Id) as n, sum(Balance) as total from Account group by Status order by Status",
  nothing = "select Id from Account where UpdatedDate < '2026-03-01'",
  big = "select * from Big",
}

--- A data query of its own text, so that it can be told from the others; its result is always the same.
---@param key string that is no account's name
function tenant.query(key) return ("select Id, Name from Account where Name != '%s'"):format(key) end

-- --- what may go wrong -------------------------------------------------------------------------------

local HTML = { ["Content-Type"] = "text/html" }
local ENVELOPES = { "E1", "E2", "E3", "E4", "E5", "E6", "E6b", "E7", "E8", "E9", "E10", "E11", "E11b", "E12", "E13", "E14",
  "E15", "E15b", "E16", "E17", "E17b", "E17c" }

-- Every kind that the simulator has, each in its forms.
local KINDS = {
  status = {
    { status = 500 }, { status = 502, body = "<html>Bad Gateway</html>", headers = HTML }, { status = 504 },
    { status = 503, headers = { ["Retry-After"] = "1" } }, { status = 429, headers = { ["Retry-After"] = "1" } },
    { status = 401 }, { status = 404 }, { status = 408 }, { status = 200 }, { status = 200, body = '{"succ' },
    { status = 200, body = "<html>Please log in</html>", headers = HTML },
  },
  delay = { { seconds = 0.1 }, { seconds = 1 } },
  cut = { {}, { after = 0 }, { after = 100 }, { after = 50000 }, { headers_after = 40 } },
  reset = { {}, { after = 0 }, { after = 100 }, { after = 50000 }, { headers_after = 40 } },
  stall = { {}, { after = 100 }, { after = 50000 }, { headers_after = 40 } },
  trickle = { { size = 16384, seconds = 0.005 }, { size = 1, seconds = 0.001, on = "GET /v1/batch-query/*" } },
  gzip = { { how = "flip" }, { how = "cut" }, { how = "more" } },
  envelope = {},
  length = { {}, { extra = 1 } },
  unframed = { {} },
  garbage = { {}, { raw = "HTTP/1.1 200 OK\r\nContent-Length: banana\r\n\r\n" }, { raw = "HTTP/1.1 \r\n\r\n" } },
  token = { {} },
  -- What is started from now on ends badly; and well again, most of the time.
  outcome = { { job = "aborted", run = "ERROR", query = "failed" }, {}, {}, {} },
}
for i, name in ipairs(ENVELOPES) do KINDS.envelope[i] = { envelope = name } end

--- Faults that strike one request in so many, each kind as often as the others.
---@param rate number of all requests
---@return table[]
function tenant.faults(rate)
  local list, kinds = {}, 0
  for _ in pairs(KINDS) do kinds = kinds + 1 end
  for kind, forms in pairs(KINDS) do
    for _, form in ipairs(forms) do
      -- (JSON takes no more digits than a number has.)
      local fault = { kind = kind, times = "always", rate = math.ceil(rate / kinds / #forms * 1e6) / 1e6 }
      for name, value in pairs(form) do fault[name] = value end
      list[#list + 1] = fault
    end
  end
  return list
end

--- The names of the kinds.
function tenant.kinds()
  local names = {}
  for kind in pairs(KINDS) do names[#names + 1] = kind end
  table.sort(names)
  return names
end

-- --- what must come of it ----------------------------------------------------------------------------

local Expected = {}
Expected.__index = Expected

local function remembered(self, key, make)
  if not self.known[key] then self.known[key] = make() end
  return self.known[key]
end

-- What a job's batch of that name comes to, without any network.
function Expected:file(name, format)
  return remembered(self, name .. format, function()
    local job = assert(self.tenant.jobs:submit { format = format, useQueryLabels = true,
      queries = { { name = name, query = tenant.queries[name] } } })
    assert(self.tenant.jobs:look(job) == "completed")
    return self.tenant.jobs:file(job.batches[1].fileId).content:read()
  end)
end

--- What the export of a report comes to.
function Expected:report(number)
  return remembered(self, number, function()
    local data = objects.new(self.settings.reports[tenant.report(number)])
    return tenant.text(data.columns, data.each(0, math.huge))
  end)
end

--- What a data query comes to: as comma-separated text, and as one JSON object on a line.
---@return string csv, string json
function Expected:query()
  local csv, lines = { text.line({ "Id", "Name" }, 2, ",") }, {}
  for _, row in ipairs(self.settings.objects.Account.rows) do
    if row[2] ~= "" then -- nothing is not unequal to anything
      csv[#csv + 1] = text.line(row, 2, ",")
      lines[#lines + 1] = ('{"Id":%s,"Name":%s}\n'):format(json.encode(row[1]), json.encode(row[2]))
    end
  end
  return table.concat(csv), table.concat(lines)
end

---@param settings table as tenant.settings gives them
function tenant.expected(settings)
  local own = { seconds = 0, objects = settings.objects }
  return setmetatable({ settings = settings, tenant = tenants.new(own), known = {} }, Expected)
end

return tenant
