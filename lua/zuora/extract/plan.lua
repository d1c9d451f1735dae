--- A plan: what is read again and again, and where it goes. It is JSON in a file, or the same as a table, and is
--- checked whole before anything is sent.

local ascii = require "zuora.support.ascii"
local claims = require "zuora.extract.claims"
local core = require "zuora.core"
local error_value = require "zuora.error"
local json = require "zuora.extract.base.json"
local lazy = require "zuora.extract.base.lazy"
local names = require "zuora.support.names"
local places = require "zuora.extract.places"
local query = require "zuora.extract.query"

local plan = {}

local UNITS = { s = 1, m = 60, h = 3600, d = 86400 }

-- --- what is wrong ------------------------------------------------------------------------------------

local PROBLEM = {} -- what is raised in here, and caught by plan.read

local function fail(place, words, ...)
  error(setmetatable({ message = ("%s: %s"):format(place, words:format(...)) }, PROBLEM), 0)
end

-- --- words and what each must be ----------------------------------------------------------------------

local function is_list(value)
  if type(value) ~= "table" then return false end
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  return count == #value
end

local function is_text(value) return type(value) == "string" and value ~= "" and not value:find "[\0-\31\127]" end

local function path_or(words)
  return function(value) return is_text(value) and value or nil, words end
end

-- Each gives the value as it is worked with, or nil and what was expected.
local kinds = {}

function kinds.text(value) return is_text(value) and utf8.len(value) and value or nil, "text" end
kinds.path = path_or "a path"
kinds.store, kinds.target = places.store, places.target
function kinds.boolean(value)
  if type(value) == "boolean" then return value end
  return nil, "true or false"
end
function kinds.positive(value)
  local number = math.type(value) and math.tointeger(value)
  return number and number >= 1 and number or nil, "a whole number, 1 or more"
end
-- For folders and keys: nothing that a shell, a folder or a table could take for something else.
function kinds.name(value)
  return type(value) == "string" and value:match "^[A-Za-z0-9_][A-Za-z0-9_.-]*$" and #value <= 60 and value or nil,
    "a name of letters, digits, _, - and ."
end
function kinds.field(value)
  return type(value) == "string" and value:match "^[%a_][%w_]*$" and value or nil, "the name of a field"
end
function kinds.duration(value)
  if math.type(value) and value >= 0 then return math.tointeger(value // 1) end
  local count, unit = tostring(value):match "^(%d+)([smhd])$"
  return count and math.tointeger(tonumber(count)) * UNITS[unit] or nil, 'a time such as "90s", "15m", "2h" or "7d"'
end
function kinds.fields(value)
  if value == "*" then return value end
  local good = is_list(value) and #value > 0
  for _, name in ipairs(good and value or {}) do
    good = good and type(name) == "string" and name:match "^[%a_][%w_.]*$" ~= nil
  end
  return good and value or nil, '"*" or a list of names of fields'
end
function kinds.texts(value)
  local good = is_list(value)
  for _, text in ipairs(good and value or {}) do good = good and is_text(text) end
  return good and value or nil, "a list of texts"
end
function kinds.command(value)
  local good = kinds.texts(value) and #value > 0
  return good and value or nil, "a program and its arguments, a list of texts"
end
function kinds.split(value)
  local count = type(value) == "string" and value:match "^id:(%d+)$"
  return count and tonumber(count) >= 1 and math.tointeger(tonumber(count)) or nil, '"id:250000", rows of a page by Id'
end
function kinds.cursor(value)
  if value == false then return false end
  return kinds.field(value), "the name of a field, or false: it is read whole each time"
end
function kinds.lookback(value)
  return (type(value) == "table" or value == false) and value, '{ "days": 14, "every": "7d" }, or false'
end
function kinds.list(value) return is_list(value) and #value > 0 and value or nil, "a list of at least one" end
function kinds.table(value) return type(value) == "table" and value or nil, "an object" end
function kinds.tenants(value)
  local good = kinds.texts(value)
  local seen = {}
  for _, id in ipairs(good or {}) do
    local digits = ascii.lower((id:gsub("-", "")))
    if #digits ~= 32 or not digits:find "^%x+$" or seen[digits] then good = nil end
    seen[digits] = true
  end
  return good, "a list of ids of entities, UUIDs, no two the same"
end

local function choice(...)
  local known, words = {}, table.concat({ ... }, ", ")
  for _, word in ipairs { ... } do known[word:match "^%a+"] = true end
  return function(value) return known[value] and value or nil, "one of " .. words end
end
kinds.view, kinds.api = choice("Detail", "Summary"), choice("query", "aqua")
kinds.mode, kinds.columns = choice("merge", "replace", "append (with a cursor)"), choice("evolve", "freeze")
kinds.deletes = choice("flag", "remove")

local PLAN = { plan = "name!", output = "path!", store = "store", every = "duration", settle = "duration",
  concurrency = "positive", wait = "duration", items = "list!", load = "table", entities = "tenants",
  publish = "command" }
local LOAD = { to = "target!", schema = "field", columns = "columns", deletes = "deletes" }
local LOOKBACK = { days = "positive!", every = "duration!" }
local ITEMS = {
  object = { object = "field!", name = "name", fields = "fields", where = "text", deleted = "boolean",
    cursor = "cursor", key = "field", lookback = "lookback", totals = "texts", split = "split", mode = "mode" },
  query = { query = "text!", name = "name!", api = "api", cursor = "cursor", key = "field", deleted = "boolean",
    lookback = "lookback", totals = "texts", mode = "mode" },
  report = { report = "text!", name = "name", view = "view!", filters = "list", mode = "mode" },
}

-- A table with a closed set of words.
local function read_table(place, given, words)
  if type(given) ~= "table" or is_list(given) and #given > 0 then fail(place, "an object expected") end
  local values = {}
  for word, value in pairs(given) do
    local kind = words[word]
    local at = place == "" and tostring(word) or place .. "." .. tostring(word)
    if not kind then
      local known = {}
      for name in pairs(words) do known[#known + 1] = name end
      table.sort(known)
      fail(at, "unknown word; known here: %s", table.concat(known, ", "))
    end
    local good, wanted = kinds[kind:gsub("!", "")](value)
    if good == nil or good == false and value ~= false then fail(at, "%s expected", wanted) end
    values[word] = good
  end
  for word, kind in pairs(words) do
    if kind:find "!" and values[word] == nil then fail(place == "" and word or place .. "." .. word, "missing") end
  end
  return values
end

--- What is told of an item that is read whole each time, and is to be appended.
plan.NO_APPEND = "append is for what is read in windows, and it has no cursor: all of its rows would be there again "
  .. "with each read; leave 'mode' out (each read replaces the one before), or name a 'cursor' of an object or query"

-- --- items --------------------------------------------------------------------------------------------

local NO_TOTALS = {}
local TOTALS = { "^count$", "^sum%(([%a_][%w_]*)%)$" }

local function check_totals(place, totals)
  for i, total in ipairs(totals) do
    if not (total:match(TOTALS[1]) or total:match(TOTALS[2])) then
      fail(("%s.totals[%d]"):format(place, i), '"count" or "sum(Field)" expected')
    end
  end
end

local function check_query(place, item)
  local parsed, problem = query.parse(item.query)
  if not parsed then fail(place .. ".query", "%s", problem) end
  if item.api == "query" then
    for _, word in ipairs { "cursor", "lookback", "deleted", "totals" } do
      if item[word] then fail(place .. "." .. word, "is not for api = \"query\", which is read whole each time") end
    end
    return
  end
  if item.cursor and parsed.tail then
    fail(place .. ".query", "%s cannot go with a cursor: leave it out, or read all of it with cursor = false",
      parsed.tail_word)
  end
  if item.totals and parsed.tail then fail(place .. ".totals", "cannot go with %s", parsed.tail_word) end
  item.object = parsed.object
end

local function read_item(place, given)
  if type(given) ~= "table" then fail(place, "an object expected") end
  local kind
  for _, name in ipairs { "object", "query", "report" } do
    if given[name] ~= nil then
      if kind then fail(place, "it has both '%s' and '%s': one expected", kind, name) end
      kind = name
    end
  end
  if not kind then fail(place, "'object', 'query' or 'report' expected: what is to be read") end
  local item = read_table(place, given, ITEMS[kind])
  item.kind = kind == "query" and item.api == "query" and "data_query" or kind
  item.name = item.name or item.object or names.safe(item.report, "report")
  -- (Tables have names of 63 bytes, and those of ours begin so.)
  if #item.name > 60 then fail(place, "its name '%s' is too long: give it another by 'name'", item.name) end
  local whose = places.whose(item.name)
  if whose then fail(place, "'%s' is a name %s: give it another by 'name'", item.name, whose) end
  item.fields = kind == "object" and (item.fields or "*") or nil
  item.key = item.key or "Id"
  if item.lookback then
    item.lookback = read_table(place .. ".lookback", item.lookback, LOOKBACK)
    if item.lookback.every < 1 then fail(place .. ".lookback.every", "at least a second expected") end
  end
  check_totals(place, item.totals or {})
  if kind == "query" then
    if item.cursor == nil then item.cursor = false end
    check_query(place, item)
  end
  item.totals = item.totals or NO_TOTALS
  local is_whole = item.cursor == false or kind == "report"
  if item.mode == "append" and is_whole then fail(place .. ".mode", plan.NO_APPEND) end
  for _, word in ipairs { "lookback", "split" } do
    if item[word] and item.cursor == false then fail(place .. "." .. word, "needs a cursor") end
  end
  return item
end

local function text_of(place, given)
  local ok, text = pcall(core.encode, given, true)
  return ok and text or fail(place, "it has what JSON has not: %s", text)
end

-- There may be very many items: what is kept of each is its text, which is read once more whenever it is looked at.
local function read_items(made, is_of_file)
  local given, texts, taken, files = made.items, {}, {}, places.files(made)
  for i, one in ipairs(given) do
    local place = ("items[%d]"):format(i)
    local item = read_item(place, one)
    local name = ascii.lower(item.name)
    local same = taken[name]
    if same then fail(place, "its name '%s' is that of items[%d], too: give it another by 'name'", item.name, same) end
    taken[name] = i
    local folder = made.output .. "/" .. item.name
    if files[folder] then
      fail(place, "its folder %s is the file of '%s': give it another name by 'name'", folder, files[folder])
    end
    if not is_of_file then texts[i] = text_of(place, one) end
  end
  return lazy.list(#given, function(i)
    return read_item(("items[%d]"):format(i), is_of_file and given[i] or core.decode(texts[i]))
  end)
end

local PUBLISHED = { path = true, name = true, item = true }

-- (What a shell would put in, as ${HOME}, is a shell's.)
local function check_publish(command)
  for i, word in ipairs(command) do
    for sign, name in word:gmatch "(.?){([%a_]+)}" do
      if sign ~= "$" and not PUBLISHED[name] then
        fail(("publish[%d]"):format(i), "{%s}: unknown word; known here: {path}, {name}, {item}", name)
      end
    end
  end
end

local DEFAULTS = { every = 3600, settle = 7200, concurrency = 4, wait = 4 * 3600 }

local function read_plan(given, is_of_file)
  local made = read_table("", given, PLAN)
  for name, value in pairs(DEFAULTS) do
    if made[name] == nil then made[name] = value end
  end
  if made.every < 1 then fail("every", "at least a second expected") end
  check_publish(made.publish or {})
  made.store = made.store or made.output .. "/.zuora.db"
  made.entities = made.entities or {}
  if made.load then
    made.load = read_table("load", made.load, LOAD)
    if claims.are_at(made.store) and made.load.schema == claims.SCHEMA then
      fail("load.schema", "'%s' is the store's: another name expected", claims.SCHEMA)
    end
    made.load.columns, made.load.deletes = made.load.columns or "evolve", made.load.deletes or "flag"
  end
  made.items = read_items(made, is_of_file)
  return made
end

-- --- the public face ----------------------------------------------------------------------------------

-- Editors know of lines, the decoder of characters.
local function in_line(text, wrong)
  return (wrong:gsub("at character (%d+)$", function(at)
    return "in line " .. 1 + select(2, text:sub(1, math.tointeger(at) - 1):gsub("\n", ""))
  end))
end

-- What a text says, with items that are made when they are looked at.
local function decoded(text)
  local bounds = json.members(text, "items")
  local given = bounds and core.decode(text:sub(1, bounds[1]) .. text:sub(bounds[#bounds]))
  local is_sound = type(given) == "table" and type(given.items) == "table" and #given.items == 0
  local items = lazy.list(is_sound and #bounds - 1 or 0, function(i)
    return core.decode(text:sub(bounds[i] + 1, bounds[i + 1] - 1))
  end)
  for i = 1, #items do is_sound = is_sound and items[i] ~= nil end
  if not is_sound then return core.decode(text) end
  given.items = items
  return given
end

local function table_of(source)
  if type(source) == "table" then return source end
  local file, problem = io.open(source, "rb")
  if not file then return nil, problem end
  local text = file:read "a"
  file:close()
  if not text then return nil, source .. ": cannot be read" end
  local given, wrong = decoded(text)
  if type(given) ~= "table" then return nil, source .. ": no JSON object: " .. in_line(text, tostring(wrong)) end
  return given
end

local function words_of(title, words)
  local list = { title = title }
  for word, kind in pairs(words) do
    local _, wanted = kinds[kind:gsub("!", "")](error) -- which is none of what a plan can hold
    list[#list + 1] = { word = word, wanted = wanted, is_needed = kind:find "!" ~= nil }
  end
  table.sort(list, function(a, b)
    if a.is_needed ~= b.is_needed then return a.is_needed end
    return a.word < b.word
  end)
  return list
end

--- The words of a plan, for a manual: what may be said in each of its tables, what is needed first.
---@return { title: string, [integer]: { word: string, wanted: string, is_needed: boolean } }[]
function plan.words()
  return { words_of("the plan", PLAN), words_of("an item that is an object", ITEMS.object),
    words_of("an item that is a query", ITEMS.query), words_of("an item that is a report", ITEMS.report),
    words_of("lookback", LOOKBACK), words_of("load", LOAD) }
end

--- What a plan is called that may not be one: as it says, or as its file.
---@param source string|table
---@return string
function plan.name_of(source)
  local given = table_of(source)
  local name = given and kinds.name(given.plan)
  return name or type(source) == "string" and names.safe(source:match "[^/]*$":gsub("%.json$", ""), "plan") or "plan"
end

--- Reads a plan: the path of a JSON file, or a table of the same form.
---@param source string|table
---@return table|nil plan with defaults for what is not said, times in seconds, and each item with its name and kind
--- (a table of its own whenever it is looked at)
---@return zuora.Error|nil err of kind `plan`, whose message names the place and what is expected there
function plan.read(source)
  if type(source) ~= "table" and type(source) ~= "string" then
    error("zuora.extract: a plan is a path or a table, not a " .. type(source), 2)
  end
  local given, problem = table_of(source)
  if not given then return nil, error_value.new { kind = "plan", message = problem } end
  local ok, made = pcall(read_plan, given, type(source) == "string")
  if ok then
    made.file = type(source) == "string" and source or nil
    return made
  end
  if getmetatable(made) ~= PROBLEM then error(made, 0) end
  return nil, error_value.new { kind = "plan",
    message = (type(source) == "string" and source or "the plan") .. ": " .. made.message }
end

return plan
