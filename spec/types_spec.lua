-- What the annotations say, and what the module does: the same names, types and defaults, both ways.

local check = require "zuora.support.check"
local core = require "zuora.core"
local support = require "spec.support"
local zuora = require "zuora"

-- --- reading annotations ------------------------------------------------------------------------------

local files = {}
for path in support.shell "find lua/zuora -name '*.lua' -not -path '*/simulator/*' -not -path '*/cli/*'":gmatch "[^\n]+" do
  files[path] = support.read(path)
end

-- name -> { parents, fields = { [name] = { type, optional, text } } }; name -> the words of an alias.
local classes, aliases = {}, {}

local function read_annotations(text)
  local class
  for line in text:gmatch "[^\n]*" do
    local name, parents = line:match "^%-%-%-@class ([%w_.]+):?%s*(.*)$"
    if name then
      class = classes[name] or { parents = {}, fields = {} }
      classes[name] = class
      for parent in parents:gmatch "[%w_.]+" do class.parents[#class.parents + 1] = parent end
    end
    local alias, words = line:match "^%-%-%-@alias ([%w_.]+) (.*)$"
    if alias then aliases[alias] = words end
    local field, mark, rest = line:match "^%-%-%-@field ([%w_]+)(%??) (.*)$"
    if field then
      assert(class and not class.fields[field], "twice: " .. field)
      class.fields[field] = { type = rest, optional = mark == "?" }
    end
    if not line:find "^%-%-%-" then class = nil end
  end
end
for _, text in pairs(files) do read_annotations(text) end

local function fields_of(name, into)
  into = into or {}
  local class = assert(classes[name], "no class " .. name)
  for field, of in pairs(class.fields) do into[field] = into[field] or of end
  for _, parent in ipairs(class.parents) do
    if classes[parent] then fields_of(parent, into) end
  end
  return into
end

-- "Class:method" -> { parameters: name -> type, returns, the names in the order of the definition }
local functions = {}
for _, text in pairs(files) do
  local block = {}
  for line in text:gmatch "[^\n]*" do
    local class, name, arguments = line:match "^function ([%w_]+)[:.]([%w_]+)%((.-)%)"
    if class then
      local f = { parameters = {}, returns = 0, arguments = {} }
      for argument in arguments:gmatch "[%w_.]+" do f.arguments[#f.arguments + 1] = argument end
      for _, comment in ipairs(block) do
        local parameter, of = comment:match "^%-%-%-@param ([%w_.]+)%s+(.*)$"
        if parameter then f.parameters[parameter] = of end
        if comment:find "^%-%-%-@return" then f.returns = f.returns + 1 end
      end
      f.is_described = #block > 0
      functions[class .. ":" .. name] = f
    end
    if line:find "^%-%-" then block[#block + 1] = line else block = {} end
  end
end

-- --- reading the module -------------------------------------------------------------------------------

local function upvalue(f, wanted)
  for i = 1, 60 do
    local name, value = debug.getupvalue(f, i)
    if not name then return nil end
    if name == wanted then return value end
  end
end

-- What the entrance of a class's methods knows of them: method -> { rules, and the names of arguments }.
local function descriptions_of(class)
  for _, f in pairs(class) do
    for i = 1, 60 do
      local name, value = debug.getupvalue(f, i)
      if not name then break end
      local methods = type(value) == "function" and name:find "^enter" and upvalue(value, "methods")
      if methods then return methods end
    end
  end
  error "a class without an entrance"
end

local client = zuora.new { environment = "eu", token = "t" }

-- "Jobs" -> { its methods, what the entrance knows of them }
local held = {}
local function visit(metatable)
  local name = metatable.__name:match "^zuora%.(%w+)$"
  if held[name] then return end
  held[name] = { methods = metatable.__index, descriptions = descriptions_of(metatable.__index) }
  for _, value in pairs(metatable) do
    if type(value) == "table" and value.__index and value.__name then visit(value) end
  end
end
for _, collection in pairs(client) do visit(debug.getmetatable(collection)) end

-- What is written for the types of the rules.
local WRITTEN = { string = "string", text = "string", line = "string", id = "string", segment = "string",
  string_or_empty = "string", track_id = "string", entity_id = "string", idempotency_key = "string", boolean = "boolean",
  seconds = "number", delay = "number", limit = "number", factor = "number", fraction = "number", count = "integer",
  positive = "integer", integer = "integer", ["function"] = "fun%(" }

-- Does what is written say what the rule says?
local function agrees(rule, written)
  rule = rule:gsub("[!#]", "")
  local is_list = written:find "^[%w_.]+%[%]" ~= nil
  if not is_list then written = written:gsub("^zuora%.[%w_]+", aliases) end
  if WRITTEN[rule] then return written:find("^" .. WRITTEN[rule] .. "%f[^%w]") or written:find("^" .. WRITTEN[rule]) end
  if rule:find "%*$" or rule == "list" or rule == "array" then return is_list end
  if rule == "table" or rule:find "^json" then return written:find "^table" or written:find "%[%]" end
  if rule == "any" then return written ~= "" end
  for choice in rule:gmatch "[^|]+" do
    if not written:find(('"%s"'):format(choice), 1, true) then return false end
  end
  return not written:find "^string"
end

local function compare(where, rules, class)
  local fields = fields_of(class)
  for name, rule in pairs(rules) do
    local field = fields[name] or error(("%s takes '%s', which %s has not"):format(where, name, class))
    assert(agrees(rule, field.type), ("%s: '%s' is %s, and in %s %s"):format(where, name, rule, class, field.type))
    assert.equal(rule:find("!", 1, true) == nil, field.optional, where .. ": " .. name)
  end
  for name in pairs(fields) do assert(rules[name], ("%s has '%s', which %s does not take"):format(class, name, where)) end
end

local function is_needed(rules)
  for _, rule in pairs(rules) do
    if rule:find("!", 1, true) then return true end
  end
  return false
end

-- A default stands in brackets.
local function compare_defaults(defaults, class)
  local fields = fields_of(class)
  for name, value in pairs(defaults) do
    local text = assert(fields[name], name).type:match "%(([^()]*)%)[^()]*$" or ""
    local number, unit = text:match "^([%d.]+) ?(.*)$"
    if unit == "MiB" then number = number * 1024 * 1024 end
    assert.equal(tostring(value), tostring(math.tointeger(tonumber(number)) or number or text), class .. ": " .. name)
  end
end

-- --- comparing ----------------------------------------------------------------------------------------

describe("the types", function()
  teardown(function() client:close() end)

  it("name all arguments and results of all methods, and a class for all options", function()
    local count = 0
    for name, class in pairs(held) do
      assert(classes["zuora." .. name], "no class " .. name)
      for method, f in pairs(class.methods) do
        local where, known = name .. ":" .. method, class.descriptions[method]
        local described = functions[where]
        if described and known then
          count = count + 1
          assert.is_true(described.is_described and described.returns > 0, where)
          for _, argument in ipairs(described.arguments) do
            assert(described.parameters[argument], where .. " says nothing of " .. argument)
          end
          for argument in pairs(described.parameters) do
            assert.is_truthy(table.concat(described.arguments, " "):find(argument, 1, true), where .. ": " .. argument)
          end
          local options = described.arguments[#described.arguments]
          if known.rules then
            compare(where, known.rules, assert(described.parameters[options]:match "^zuora[%w_.]+", where))
            local may_be_left_out = described.parameters[options]:find "^[%w_.]+|nil" ~= nil
            assert.equal(known.fields == nil and not is_needed(known.rules), may_be_left_out, where)
          end
        else
          assert(f == class.methods.download or f == class.methods.file_ids, where .. " is not annotated where it stands")
        end
      end
    end
    assert.is_true(count > 70, count)
  end)

  it("have the options of zuora.new, and their defaults", function()
    local settings = require "zuora.settings"
    compare("zuora.new", upvalue(settings.read, "OPTIONS"), "zuora.Options")
    compare_defaults(upvalue(upvalue(settings.read, "values_of"), "DEFAULTS"), "zuora.Options")
  end)

  it("have the options of waits, rows, maps and requests, and their defaults", function()
    local wait = require "zuora.tasks.wait"
    compare("wait", check.rules(require "zuora.caller".options, wait.options), "zuora.WaitOptions")
    local rows = require "zuora.rows"
    compare("zuora.rows", rows.options, "zuora.RowOptions")
    compare("client:map", upvalue(client.map, "MAP_OPTIONS"), "zuora.MapOptions")
    compare_defaults(upvalue(upvalue(wait.settle, "setting"), "DEFAULTS"), "zuora.WaitOptions")
    local request = upvalue(require "zuora.resources.request".request, "enter")
    compare("client:request", upvalue(request, "method").rules, "zuora.Request")
  end)

  it("have what the module offers", function()
    local fields = fields_of "zuora"
    for name, value in pairs(zuora) do
      local is_annotated_elsewhere = name == "new" or name == "rows" or name == "time"
      assert(fields[name] or is_annotated_elsewhere, name)
      if type(value) == "function" and fields[name] then assert.matches("^fun%(", fields[name].type) end
    end
    for name in pairs(fields) do assert(zuora[name] ~= nil, name) end
  end)

  it("have what a client offers", function()
    local fields = fields_of "zuora.Client"
    for name in pairs(client) do assert(fields[name], name) end
    for name, f in pairs(fields) do assert.matches("^zuora%.", f.type, nil, client[name] and name) end
  end)

  it("have the kinds and fields of errors, and no other", function()
    local set, kinds = {}, {}
    local code = {}
    for path, text in pairs(files) do
      if not path:find "/meta/" then code[#code + 1] = text:gsub("%-%-[^\n]*", "") end
    end
    code = table.concat(code, "\n")
    for name in code:gmatch "%f[%w]err%.([%l_]+) = " do set[name] = true end
    for block in code:gmatch "error_value%.new(%b{})" do
      for name in block:sub(2, -2):gsub("%b{}", ""):gsub("%b()", ""):gmatch "%f[%w_]([%l_]+) = " do set[name] = true end
    end
    local fields = fields_of "zuora.Error"
    for name in pairs(set) do assert(fields[name], "an error has " .. name) end
    for name in pairs(fields) do assert(code:find("%f[%w_]" .. name .. "%f[^%w_]"), "no error has " .. name) end
    for kind in aliases["zuora.ErrorKind"]:gmatch '"([%l_]+)"' do
      kinds[kind] = true
      assert(code:find(('"%s"'):format(kind), 1, true), "no error is " .. kind)
    end
    for kind in code:gmatch 'error_value%.new {[^}]-kind = "([%l_]+)"' do assert(kinds[kind], kind) end
    for kind in support.read "README.md":match "%(`transport`[^)]*%)":gmatch "`([%l_]+)`" do
      assert(kinds[kind], kind)
      kinds[kind] = nil
    end
    assert.is_nil(next(kinds))
  end)

  it("have the fields of a job that is submitted, and the statuses that its life knows", function()
    local fields = fields_of "zuora.JobSubmit"
    for _, parameter in ipairs(core.operations.jobs.submit.parameters) do
      assert(fields[parameter.name], parameter.name)
    end
    for alias, list in pairs { ReportRunStatus = "COMPLETED CANCELLED INVALID ERROR STARTED QUERYDATA PROCESSINGDATA",
      JobStatus = "submitted executing completed error aborted cancelled",
      QueryStatus = "submitted accepted in_progress completed failed cancelled" } do
      for word in list:gmatch "%S+" do assert.is_truthy(aliases["zuora." .. alias]:find(('"%s"'):format(word), 1, true)) end
    end
  end)

  it("have rows as they are: called, with columns, row and close", function()
    local path = os.tmpname()
    support.write(path, "a,b\n1,2\n")
    local it <close> = assert(zuora.rows(path))
    local fields = fields_of "zuora.Rows"
    assert.same({ "a", "b" }, it.columns)
    it()
    for name in pairs(fields) do assert(it[name] ~= nil, name) end
    assert.is_truthy(files["lua/zuora/meta/records.lua"]:find "@operator call: zuora.Row")
    os.remove(path)
  end)

  it("are all there that are named, and leave no shape open", function()
    for path, text in pairs(files) do
      for name in text:gmatch "%-%-%-@[^\n]*" do
        for class in name:gmatch "%f[%w]zuora%.%u[%w_]*" do
          assert(classes[class] or aliases[class], path .. ": " .. class)
        end
      end
      if path:find "/meta/" then
        assert.is_nil(text:find "\n[^-\n]", path .. " is comments only")
      end
    end
  end)

  it("are told to the language server", function()
    local settings = core.decode(support.read ".luarc.json")
    assert.equal("Lua 5.4", settings["runtime.version"])
    for _, path in ipairs(settings["workspace.library"]) do assert.is_truthy(support.shell("ls " .. path):find ".lua") end
  end)
end)
