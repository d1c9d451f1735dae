--- The entrance of every public method: one line that checks what it is given, and gives what its body works with.
--
-- A class says what each of its methods takes:
--
--     local METHODS = {
--       get = { operations.get, "run_id" },
--       download = { operations.export, "run_id", "path:line", options = { raw = "boolean" } },
--     }
--     local enter = entrance.collection(ReportRuns, "client.reportruns", METHODS)
--     local enter_run = entrance.record(ReportRun, "run", METHODS)
--
--     function ReportRuns:get(run_id, options) … enter(self, "get", run_id, options) …
--     function ReportRun:download(path, options) … enter_run(self, "download", path, options) …
--
-- The operation says which options go with it (keyed or not, a file or not), and to which hosts. An argument is named
-- with its type (see support/check.lua); without one it is what the operation is about, and has the type of the
-- operation's first parameter. A record is that by itself: its methods leave such an argument out.
--
-- Besides, a description has: `options`, those that the method adds; `fields`, what the table of options is called
-- where it must be given; `check(where, options, …)` for what no type can say. Without an operation and options a
-- method takes none.

local call = require "zuora.caller"
local check = require "zuora.support.check"
local record = require "zuora.resources.record"

local entrance = {}

local function rules_of(operation, more)
  if not operation then return more end
  return check.rules(operation.safe and call.options or call.keyed_options,
    operation.result == "file" and call.file_options or {}, more or {})
end

-- What is known of a method before it is called.
local function compile(where, description, of_record)
  local operation = type(description[1]) == "table" and description[1] or nil ---@type table|nil
  local method = { where = where, operation = operation, rules = rules_of(operation, description.options),
    fields = description.fields, check = description.check }
  for i = operation and 2 or 1, #description do
    local name, type_name = description[i]:match "^([^:]+):(.+)$"
    if not name then
      name, type_name = of_record and "id" or description[i], operation.parameters[1].type
      method.is_about_id = of_record
    end
    method[#method + 1] = { name = name, type = type_name }
  end
  return method
end

-- The options, and all that goes beyond single arguments.
local function check_rest(method, context, options, first, second)
  local where = method.where
  if method.rules then
    if method.fields then check.value(where, method.fields, options, "table") end
    options = check.options(where, options, method.rules)
  end
  if method.check then method.check(where, options, first, second) end
  if method.operation then context.caller:check_offered(where, method.operation) end
  return options
end

local function entrance_of(class, name, descriptions, of_record)
  local methods = {}
  for method_name, description in pairs(descriptions) do
    methods[method_name] = compile(name .. ":" .. method_name, description, of_record)
  end

  return function(self, method_name, first, second, third)
    local method = methods[method_name]
    local where, one, other = method.where, method[1], method[2]
    local context, held = record.context(self, class, where), of_record and self or nil
    if method.is_about_id then first, second, third = self.id, first, second end
    if not one then return context, check_rest(method, context, first), held end
    check.value(where, one.name, first, one.type)
    if not other then return context, first, check_rest(method, context, second, first), held end
    check.value(where, other.name, second, other.type)
    return context, first, second, check_rest(method, context, third, first, second), held
  end
end

--- The entrance of a collection, such as client.jobs.
---@param class table
---@param name string as users call it, for messages
---@param descriptions table<string, table>
---@return fun(self: table, method: string, ...): ... enter gives the context, the arguments (two at most) and the
--- options
function entrance.collection(class, name, descriptions) return entrance_of(class, name, descriptions, false) end

--- The entrance of a type of record.
---@param class table
---@param name string as users call it, for messages
---@param descriptions table<string, table>
---@return fun(self: table, method: string, ...): ... enter gives the context, the record's id where the method is
--- about it, the arguments, the options, and the record
function entrance.record(class, name, descriptions) return entrance_of(class, name, descriptions, true) end

--- The entrance of what is given options only, and is no method of a class that is made here.
---@param where string as users call it, for messages
---@param description table
---@return fun(options: table|nil): table enter
function entrance.options(where, description)
  local method = compile(where, description, false)
  return function(options) return check_rest(method, nil, options) end
end

return entrance
