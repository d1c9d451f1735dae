--- What is read from headers: names of files, limits, and how long to wait.

local error_value = require "zuora.error"
local host = require "spec.fuzz.host"
local hosts = require "zuora.caller.hosts"
local limits = require "zuora.caller.rate"
local names = require "zuora.support.names"

host.watch_lines()

local headers = {}

local function is_text(text) return not text:find "[%c\127]" end

local function check_name(header)
  local name = names.of_disposition(header)
  assert(name == nil or type(name) == "string" and name ~= "", "a name that is none")
  local safe = names.safe(name or header, "otherwise")
  assert(safe ~= "" and is_text(safe) and not safe:find '[/\\:*?"<>|]', "a name that leaves its directory")
  assert(not safe:find "^[%s.]" and not safe:find "[%s.]$", "a name that hides")
  assert(#safe <= 101 and not safe:lower():find "%.part$" and not safe:lower():find "%.part%.state$", "a name that is taken")
  assert(not utf8.len(name or header) or utf8.len(safe), "half a character")
  assert(names.safe(safe, "otherwise") == safe, "a safe name that is not safe")
  names.ending(header)
end

-- A name that is written as the standards have it is read as it was.
local function check_written(name)
  if name == "" or not is_text(name) or name:find "%%%x%x" then return end
  local quoted = 'attachment; filename="' .. name:gsub('[\\"]', "\\%0") .. '"'
  local read = names.of_disposition(quoted)
  if read ~= name then error(("%s is read as %q"):format(quoted, read)) end
  if not utf8.len(name) then return end
  local escaped = "attachment; x=\"a;filename=b\"; filename*=UTF-8''" .. name:gsub("[^%w]", function(c)
    return ("%%%02X"):format(c:byte())
  end)
  read = names.of_disposition(escaped)
  if read ~= name then error(("%s is read as %q"):format(escaped, read)) end
end

local LIMITS = { "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "concurrency-limit-limit",
  "concurrency-limit-remaining", "concurrency-limit-type", "x-ratelimit-limit-minute", "x-ratelimit-remaining-minute" }

local function check_limits(text)
  local now = 0
  local noted, lines, at = limits.new(function() return now end, 0.5), {}, 0
  for line in (text .. "\n"):gmatch "(.-)\n" do
    at = at % #LIMITS + 1
    lines[LIMITS[at]] = line
  end
  function lines:header(...)
    local wanted, values = table.pack(...), {}
    for i, name in ipairs(wanted) do values[i] = self[name] end
    return table.unpack(values, 1, wanted.n)
  end
  noted:note(lines)
  local pause = noted:pause()
  assert(pause >= 0 and pause <= 60, "an endless pause")
  noted:view()
  noted:hold("host", tonumber(lines[LIMITS[1]]) or 1)
  assert(noted:held "host" >= 0 and noted:held "host" <= 3600 and noted:held "another" == 0, "an endless pause of a host")
end

-- Names that are safe stay apart, on any disk: "a" and "A" are one name there.
local function check_unique(text)
  local list, seen = {}, {}
  for name in (text .. "\n"):gmatch "(.-)\n" do list[#list + 1] = names.safe(name, "otherwise") end
  for i, name in ipairs(names.unique(list, ".csv")) do
    assert(name:sub(1, #list[i]) == list[i] and name:sub(-4) == ".csv", "another name")
    local folded = name:gsub("%u", string.lower)
    assert(not seen[folded], "a name that is there twice")
    seen[folded] = true
  end
end

function headers.read_all(text)
  check_name(text)
  check_limits(text)
  check_unique(text)
  hosts.authority(text)
  local clean = error_value.clean(text, 200)
  assert(#clean <= 200 and is_text(clean) and not clean:find "\194[\128-\159]", "a text that is not clean")
end

function headers.run(data)
  headers.read_all(data)
  check_written(data)
end

return headers
