--- What an AQuA job may say, checked before it is sent: a mistake is told here, with its place, and not in
-- the middle of the night by a code.

local ascii = require "zuora.support.ascii"
local check = require "zuora.support.check"
local core = require "zuora.core"

local submit = {}

local WHERE = "client.jobs:submit"

local QUERY_LIMIT, NAME_LIMIT, URL_LIMIT, OFFSET_LIMIT = 50, 32, 5000, 3600

-- The fields of a submit are what the operation says; those that must be of a certain form say so here.
local FORMS = { encrypted = "none|pgp", sourceData = "LIVE", partner = "segment", project = "segment", name = "text",
  notifyUrl = "text", warehouseSize = "text" }
local TYPES = { text = "string_or_empty", boolean = "boolean", integer = "integer", table = "table", any = "any" }

--- The fields of a job, for check.options.
submit.fields = {}
for _, parameter in ipairs(core.operations.jobs.submit.parameters) do
  submit.fields[parameter.name] = FORMS[parameter.name] or TYPES[parameter.type]
end

local QUERY_FIELDS = { name = "text", query = "string!", type = "zoql|zoqlexport", apiVersion = "any",
  convertToCurrencies = "any", deleted = "table" }
local DELETED_FIELDS = { column = "text!", format = "Numeric|Boolean!", forceExport = "boolean" }

local function fail(argument, problem) check.fail(WHERE, argument, problem) end

local function check_value(argument, value, type_name) check.value(WHERE, argument, value, type_name) end

-- A table with a closed set of fields, somewhere inside the arguments.
local function check_table(argument, value, rules)
  check_value(argument, value, "table")
  for name, field in pairs(value) do
    local rule = rules[name]
    local path = argument .. "." .. tostring(name)
    if not rule then fail(path, "unknown field") end
    check_value(path, field, (rule:gsub("!", "")))
  end
  for name, rule in pairs(rules) do
    if rule:find("!", 1, true) and value[name] == nil then fail(argument .. "." .. name, "missing") end
  end
end

-- --- queries -----------------------------------------------------------------------------------------

-- Zuora reads some literals in ways that nobody means.
local TRAPS = {
  { "'%d%d%d%d%-%d%d?%-%d%d?%s+%d%d?:[^']*'",
    "Zuora ignores a condition with a date and a time that have a blank between them, and gives the whole table: "
    .. "write '2026-08-01T00:00:00Z'" },
  { "'%d%d%d%d%-%d%d?%-%d%d?[Tt%s]+%d%d?:%d%d?:%d%d?%.%d[^']*'",
    "Zuora finds no rows for an upper bound with fractions of a second: leave them out" },
}

local function warn_of_traps(query, log)
  for _, trap in ipairs(TRAPS) do
    for literal in query.query:gmatch(trap[1]) do log("query \"%s\": %s: %s", query.name or "?", literal, trap[2]) end
  end
end

-- The object that a query is about names a query that has no name of its own.
local function object_of(query)
  return (" " .. query:gsub("%s+", " ")):match " [Ff][Rr][Oo][Mm] ([A-Za-z0-9_]+)"
end

-- 1, 1.1 or "1" as "1.0", "1.1", "1.0".
local function version_text(version)
  if type(version) == "number" then version = ("%.14g"):format(version) end
  if type(version) == "string" and version:find "^%d+$" then version = version .. ".0" end
  return version
end

-- One query as it is sent; the type is Export ZOQL unless it says otherwise.
local function query_of(argument, given, stateful)
  check_table(argument, given, QUERY_FIELDS)
  local query = {}
  for name, value in pairs(given) do query[name] = value end
  query.type = query.type or "zoqlexport"
  query.apiVersion = version_text(query.apiVersion)
  if query.apiVersion ~= nil then check_value(argument .. ".apiVersion", query.apiVersion, "text") end
  local currencies = query.convertToCurrencies
  if type(currencies) == "table" then
    check_value(argument .. ".convertToCurrencies", currencies, "text*")
    query.convertToCurrencies = table.concat(currencies, ",")
  elseif currencies ~= nil then
    check_value(argument .. ".convertToCurrencies", currencies, "text")
  end
  if query.deleted then
    check_table(argument .. ".deleted", query.deleted, DELETED_FIELDS)
    if not stateful and not query.deleted.forceExport then
      fail(argument .. ".deleted.forceExport", "must be true in a stateless job")
    end
  end
  return query
end

-- `{ Account = "select …" }`, a list of texts, or a list of tables: as a list of texts and tables, and what
-- each is called in messages.
local function listed(queries)
  if #queries > 0 or next(queries) == nil then
    check_value("queries", queries, "list")
    return queries, {}
  end
  local names, list, paths = {}, {}, {}
  for name in pairs(queries) do
    check_value("queries", name, "text")
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local given = queries[name]
    if type(given) == "table" then
      local named = {}
      for field, value in pairs(given) do named[field] = value end
      if named.name ~= nil and named.name ~= name then fail(("queries.%s.name"):format(name), "is another name") end
      named.name = name
      given = named
    elseif type(given) == "string" then
      given = { name = name, query = given }
    end
    list[i], paths[i] = given, "queries." .. name
  end
  return list, paths
end

-- A text alone is named after its object, the second of that name with a number.
local function name_texts(list)
  local taken, named = {}, {}
  for _, given in ipairs(list) do
    if type(given) == "table" and type(given.name) == "string" then taken[given.name] = true end
  end
  for i, given in ipairs(list) do
    if type(given) == "string" then
      local base = object_of(given) or "Query"
      local name, number = base, 1
      while taken[name] do
        number = number + 1
        name = base .. number
      end
      taken[name] = true
      given = { name = name, query = given }
    end
    named[i] = given
  end
  return named
end

local function queries_of(queries, stateful)
  check_value("queries", queries, "table")
  local list, paths = listed(queries)
  list = name_texts(list)
  if #list > QUERY_LIMIT then fail("queries", ("at most %d expected, got %d"):format(QUERY_LIMIT, #list)) end
  local sent, names = {}, {}
  for i, given in ipairs(list) do
    local argument = paths[i] or ("queries[%d]"):format(i)
    sent[i] = query_of(argument, given, stateful)
    local name = sent[i].name
    if name and names[name] then fail(argument .. ".name", ("is that of queries[%d], too"):format(names[name])) end
    if name then names[name] = i end
  end
  return sent
end

-- --- the job -----------------------------------------------------------------------------------------

-- Zuora wants the version as text. 1.0 knows no partner and no project, and would take them without a word.
local function version_of(fields)
  local stateful = fields.partner ~= nil
  local version = version_text(fields.version)
  if version == nil then return stateful and "1.1" or "1.0" end
  if type(version) ~= "string" or not version:match "^%d+%.%d+$" then
    fail("version", "a number such as 1.1 expected")
  end
  if stateful and tonumber(version) < 1.1 then
    fail("version", "1.0 is stateless: leave version out, or partner and project")
  end
  return version
end

local function check_format(format)
  local known = { csv = true, zip = true, gzip = true }
  if not known[ascii.lower(format)] then fail("format", "one of csv, zip, gzip expected") end
end

local function check_fields(fields, stateful)
  if (fields.partner == nil) ~= (fields.project == nil) then
    fail(fields.partner == nil and "partner" or "project", "partner and project go together")
  end
  if fields.name and (utf8.len(fields.name) or #fields.name) > NAME_LIMIT then
    fail("name", ("at most %d characters expected"):format(NAME_LIMIT))
  end
  local offset = fields.offset
  if offset and (offset < 0 or offset > OFFSET_LIMIT) then
    fail("offset", ("seconds from 0 to %d expected"):format(OFFSET_LIMIT))
  end
  local url = fields.notifyUrl
  if url and #url >= URL_LIMIT then fail("notifyUrl", ("less than %d characters expected"):format(URL_LIMIT)) end
  if url and not (url:find("${JOBID}", 1, true) and url:find("${STATUS}", 1, true)) then
    fail("notifyUrl", "must hold ${JOBID} and ${STATUS}")
  end
  local time = fields.incrementalTime
  if time and not (time:match "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$" and core.time(time)) then
    fail("incrementalTime", "yyyy-MM-dd HH:mm:ss expected")
  end
  if time and not stateful then fail("incrementalTime", "goes with partner and project") end
end

--- The body of a submit, from what the user gives.
---@param fields table checked by check.options with submit.fields
---@param log fun(format: string, ...): nil for warnings
---@return table body
function submit.body(fields, log)
  local stateful = fields.partner ~= nil and fields.project ~= nil
  check_fields(fields, stateful)
  local sent = {}
  for name in pairs(submit.fields) do sent[name] = fields[name] end
  sent.version = version_of(fields)
  sent.format = ascii.lower(fields.format or "csv")
  check_format(sent.format)
  if fields.queries ~= nil then
    sent.queries = queries_of(fields.queries, stateful)
    for _, query in ipairs(sent.queries) do warn_of_traps(query, log) end
  elseif not stateful then
    fail("queries", "missing: only a stateful job (partner, project) can run its last queries again")
  end
  return sent
end

return submit
