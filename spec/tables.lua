--- The tables of README.md and REFERENCE.md that are printed from where the truth is: `make doc` puts them between their
--- marks, and a spec compares.

local core = require "zuora.core"
local exits = require "zuora.cli.exits"
local figures = require "spec.figures"

local tables = {}

--- The files that have such tables.
tables.paths = { "README.md", ".github/REFERENCE.md" }

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

-- Within a table a bar ends a cell, even one of code.
local function cell(text) return (text:gsub("|", "\\|")) end

local function code(text) return text ~= "" and "`" .. text .. "`" or "" end

local function table_of(head, rows)
  local lines = { head, (head:gsub("[^|]+", " --- ")) }
  for i, row in ipairs(rows) do
    local cells = {}
    for k, text in ipairs(row) do cells[k] = cell(text) end
    lines[i + 2] = "| " .. table.concat(cells, " | ") .. " |"
  end
  return table.concat(lines, "\n")
end

-- --- from the annotations -----------------------------------------------------------------------------

-- How a type may begin: a callback, what has brackets, anything else without blanks.
local TYPES = { "^(fun%b()%S*)%s*(.*)$", "^(%b{}%S*)%s*(.*)$", "^(table%b<>%S*)%s*(.*)$", "^(%S+)%s*(.*)$" }

-- Choices are texts, which may hold blanks.
local function choices(rest)
  local _, last = rest:find '^"[^"]*"'
  local upto = last
  while last do
    upto = last
    _, last = rest:find('^|"[^"]*"', last + 1)
  end
  if upto then return rest:sub(1, upto), rest:sub(upto + 1):match "^%s*(.*)$" end
end

-- Of what follows the name of a field: its type, its words, and the default, which stands in brackets at their end.
local function split(rest)
  local kind, words = choices(rest)
  for i = 1, kind and 0 or #TYPES do
    kind, words = rest:match(TYPES[i])
    if kind then break end
  end
  local default = words:match "%(([%d.]+ ?%a*)%)$" or words:match "%((true)%)$" or words:match "%((false)%)$"
    or words:match '%(("%a+")%)$'
  if default then words = words:gsub(" *%b()$", "") end
  return kind, words, default or ""
end

-- What is written of a type for people: a callback is one, whatever it is told.
local function shown(kind)
  return (kind:gsub("^fun%b().*", "function"):gsub("zuora%.", ""):gsub('"|"', '" "'))
end

local function fields(text, class)
  local list = {}
  local block = assert(text:match("@class " .. class:gsub("%p", "%%%0") .. "%f[^%w_]([^\n]*\n.-)\n\n"), class)
  for name, rest in block:gmatch "\n%-%-%-@field ([%w_]+)%?? ([^\n]*)" do
    list[#list + 1] = { name, split(rest) }
  end
  return list, block:match "^: ([^\n]*)"
end

-- Those that say neither the place nor the credentials.
local function options()
  local rows, of_client = {}, fields(read "lua/zuora/meta/client.lua", "zuora.Options")
  local first = 1
  while of_client[first][1] ~= "entity_id" do first = first + 1 end
  for i = first, #of_client do
    local name, _, words, default = table.unpack(of_client[i])
    rows[#rows + 1] = { code(name), default, words }
  end
  return table_of("| option | default | |", rows)
end

local function errors()
  local text, rows = read "lua/zuora/meta/client.lua", {}
  local kinds = text:match "@alias zuora.ErrorKind ([^\n]*)"
  for i, field in ipairs(fields(text, "zuora.Error")) do
    rows[i] = { code(field[1]), code(shown(field[1] == "kind" and kinds or field[2])), field[3] }
  end
  return table_of("| field | | |", rows)
end

-- Each class of options, and which others it has.
local function call_options()
  local text, rows = read "lua/zuora/meta/options.lua" .. "\n\n", {}
  for class in text:gmatch "@class zuora%.([%w_]+)" do
    local list, parents = fields(text, "zuora." .. class)
    rows[#rows + 1] = { "**" .. class .. "**", "", "", parents and "and those of " .. shown(parents) or "" }
    for _, field in ipairs(list) do
      local name, kind, words, default = table.unpack(field)
      rows[#rows + 1] = { code(name), code(shown(kind)), default, words }
    end
  end
  return table_of("| option | type | default | |", rows)
end

-- How a user calls what has methods.
local FACES = { Reports = "client.reports", Report = "report", ReportRuns = "client.reportruns", ReportRun = "run",
  Jobs = "client.jobs", Job = "job", Batch = "batch", Files = "client.files", Queries = "client.queries",
  QueryJob = "query", Describe = "client.describe", Object = "object", Client = "client" }
local SOURCES = { "client", "resources/reports", "resources/reportruns", "resources/jobs", "resources/batches",
  "resources/files", "resources/queries", "resources/describe" }

-- What a method is, in one sentence; the type of what it returns; and the name of the options that it takes.
local function described(comment)
  local words = comment:match "^(.-)\n%-%-%-@" or comment
  words = (words .. "\n"):gsub("%-%-%-? ?", ""):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  local returned = comment:match "\n%-%-%-@return ([^\n]*)" or ""
  local kind = returned:match "^fun%b():? ?%S*" or returned:match "^table%b<>" or returned:match "^%b{}[%[%]]*"
    or returned:match "^%S+" or ""
  kind = kind:find "^fun" and "iterator of " .. kind:match ": ?(.*)$" or kind
  local taken = comment:match "\n%-%-%-@param options zuora%.([%w_]+)" or comment:match "\n%-%-%-@param %l+ zuora%.(Request)"
  return words, shown(kind:gsub("|nil", "")), taken or ""
end

local function functions()
  local rows = {}
  for _, source in ipairs(SOURCES) do
    local comment = {}
    for line in read("lua/zuora/" .. source .. ".lua"):gmatch "[^\n]*" do
      local class, name, arguments = line:match "^function (%u%w*):(%l[%w_]*)%((.-)%)"
      if class and FACES[class] then
        local words, returned, taken = described(table.concat(comment, "\n"))
        rows[#rows + 1] = { code(("%s:%s(%s)"):format(FACES[class], name, arguments)), words, code(returned), taken }
      end
      if line:find "^%-%-" then comment[#comment + 1] = line else comment = {} end
    end
  end
  return table_of("| call | | returns | options |", rows)
end

-- --- from the core ------------------------------------------------------------------------------------

-- Where an operation is on the REST hosts.
local REST = { reporting = "/reporting/api/rest/v1", aqua = "/v1/batch-query", files = "/v1/files",
  queries = "/query/jobs", describe = "/v1/describe" }
local HOSTS = { both = "", rest = "REST", legacy = "older" }

local function operations()
  local rows = {}
  for group, list in pairs(core.operations) do
    for name, operation in pairs(group ~= "oauth" and list or {}) do
      local base = operation.hosts == "legacy" and "/api/rest/v1" or REST[operation.base]
      local face = group .. ":" .. (group == "files" and name == "get" and "download" or name)
      rows[#rows + 1] = { operation.method .. " " .. base .. operation.path, code("client." .. face),
        HOSTS[operation.hosts], group }
    end
  end
  table.sort(rows, function(a, b)
    if a[4] ~= b[4] then return a[4] < b[4] end
    local first, second = a[1]:match " (.*)", b[1]:match " (.*)"
    if first ~= second then return first < second end
    return a[1] < b[1]
  end)
  for _, row in ipairs(rows) do row[4] = nil end
  table.insert(rows, 1, { "POST /oauth/token", "by itself", "REST" })
  return table_of("| method and path | function | hosts |", rows)
end

-- --- from the command line ----------------------------------------------------------------------------

local function exit_codes()
  local rows = {}
  for i, row in ipairs(exits.table) do rows[i] = { tostring(row.code), row.meaning } end
  return table_of("| code | |", rows)
end

local function variables()
  local rows = {}
  for _, row in ipairs(require "zuora.cli.settings".table) do
    if row.variable then
      rows[#rows + 1] = { code(row.variable), row.flag and code("--" .. row.flag:gsub("_", "-")) or "", row.words }
    end
  end
  rows[#rows + 1] = { "`ZUORA_PROFILE`", "`--profile`", "the profile to take" }
  return table_of("| variable | flag | |", rows)
end

-- What `zuora help manual` says of all verbs: their usage, a sentence, and a name in the margin with its words from the
-- 26th column on.
local function manual()
  local pipe = assert(io.popen(("LUA_PATH_5_4='%s' LUA_CPATH_5_4='%s' lua5.4 lua/bin/zuora help manual"):format(
    package.path, package.cpath)))
  local text = pipe:read "a"
  assert(pipe:close())
  return text:match "\n(%*zuora .-)\n%*Environment%*\n"
end

local function commands()
  local rows, last = {}, nil
  for line in manual():gmatch "[^\n]+" do
    local usage, margin = line:match "^(zuora [^\n]*)$", line:match "^   (%S.*)$"
    if usage or line:find "^%*Options" then
      last = { usage and code((usage:gsub(" %[options%]", ""))) or "options that many have", "", "" }
    elseif margin then
      local has_words = line:sub(25, 25) == " " and #line > 25
      last = { "", code(has_words and line:sub(4, 24):gsub(" +$", "") or margin), has_words and line:sub(26) or "" }
    elseif line:find("^" .. (" "):rep(25)) then
      last[3] = last[3] .. (last[3] ~= "" and " " or "") .. line:sub(26)
    elseif last and last[2] == "" and last[3] == "" and not line:find "^%*" then
      last[3] = line
    end
    if (usage or margin or line:find "^%*Options") then rows[#rows + 1] = last end
  end
  local told = {}
  for _, row in ipairs(rows) do -- an argument of which nothing is said is in the usage already
    if row[3] ~= "" or not row[2]:find "^`%u" then told[#told + 1] = row end
  end
  return table_of("| command | argument | |", told)
end

local function plan_words()
  local rows = {}
  for _, group in ipairs(require "zuora.extract.plan".words()) do
    rows[#rows + 1] = { "**" .. group.title .. "**", "" }
    for _, one in ipairs(group) do rows[#rows + 1] = { code(one.word) .. (one.is_needed and " (needed)" or ""), one.wanted } end
  end
  return table_of("| word | |", rows)
end

-- --- from the bench -----------------------------------------------------------------------------------

local function peers() return table_of(figures.peers(read "README.md")) end

-- --- from the text itself ------------------------------------------------------------------------------

-- Links to its chapters, in lines that are not too long.
local function chapters(text)
  local lines = {}
  for title in text:gmatch "\n## ([^\n]+)" do
    local link = ("[%s](#%s)"):format(title, (title:lower():gsub("[^%w%s_-]", ""):gsub(" ", "-")))
    local last = lines[#lines]
    if last and #last + #link < 116 then
      lines[#lines] = last .. " · " .. link
    else
      if last then lines[#lines] = last .. " ·" end
      lines[#lines + 1] = link
    end
  end
  return table.concat(lines, "\n")
end

-- --- filling ------------------------------------------------------------------------------------------

local PRINTED = { options = options, errors = errors, ["options of calls"] = call_options, functions = functions,
  operations = operations, ["exit codes"] = exit_codes, variables = variables, commands = commands,
  ["words of a plan"] = plan_words, peers = peers, chapters = chapters }

--- A text with its tables as they should be.
---@param text string
---@return string text, table<string, true> names of the tables that are in it
function tables.fill(text)
  local names = {}
  local filled = text:gsub("(<!%-%- make doc: ([^\n]-) %-%->\n).-(<!%-%- end of make doc %-%->)", function(opening, name, closing)
    names[name] = true
    return opening .. assert(PRINTED[name], name)(text) .. "\n" .. closing
  end)
  return filled, names
end

--- The names of all tables that there are.
function tables.names()
  local names = {}
  for name in pairs(PRINTED) do names[name] = true end
  return names
end

--- Writes them into the files, and draws the plots.
function tables.write()
  for _, path in ipairs(tables.paths) do
    local text = tables.fill(read(path))
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end
  figures.draw(read "README.md")
end

return tables
