--- Rows of delimited files: options, errors, and the iterator that a `for` closes.

local check = require "zuora.support.check"
local core = require "zuora.core"
local error_value = require "zuora.error"

local rows = {}

--- The options of everything that gives rows, for check.options.
rows.options = { form = "keyed|array|lazy", columns = "list", types = "table", null = "string_or_empty",
  strict = "boolean" }

local TYPES = "string|integer|number|boolean|time"

-- Raised by the core as it goes: a nil would look like the end.
local function fail(message, row, byte, kind)
  error(error_value.new { kind = kind, row = row, byte = byte,
    message = ("row %d, byte %d: %s"):format(row, byte, message) }, 0)
end

--- Checks `types` and `columns` as far as that can be done without the file.
---@param where string
---@param options table
function rows.check(where, options)
  for name, wanted in pairs(options.types or {}) do
    check.value(where, "types", name, "string")
    check.value(where, ("types[%q]"):format(name), wanted, TYPES)
  end
  for _, name in ipairs(options.columns or {}) do check.value(where, "columns", name, "string_or_empty") end
end

--- Opens a file for reading rows.
---@param source string|integer a path, or a descriptor
---@param options table rows.options, and `charset`
---@param name string what to call the file in messages
---@return zuora.Rows|nil it, zuora.Error|nil err, nil, zuora.Rows|nil it
function rows.open(source, options, name)
  local it, problem = error_value.guarded(core.rows, source, { form = options.form, columns = options.columns,
    types = options.types, null = options.null, strict = options.strict, charset = options.charset, fail = fail })
  if it then return it, nil, nil, it end
  if error_value.is(problem) then return nil, problem end -- the file is not as it should be
  return nil, error_value.new { kind = "file", message = name .. ": " .. problem }
end

--- Rows of a local file: `for row in assert(zuora.rows "accounts.csv") do … end`
---@param path string CSV or tab-separated, UTF-8 or UTF-16, plain or gzip
---@param options zuora.RowOptions|nil form: "keyed" (default), "array" or "lazy" (one object for every row, valid
--- until the next); columns: string[], only these; types: { [name] = "integer"|"number"|"boolean"|"time" }, the rest
--- are strings, empty typed cells absent (zuora.null in arrays); null: a text that is taken for empty; strict: true,
--- or false to fill up short rows, cut off long ones, keep odd cells and replace bad UTF-8
---@return zuora.Rows|nil it it() gives rows and raises errors of kind `text`; it.columns, it.row, it:close()
---@return zuora.Error|nil err
function rows.of_file(path, options)
  local where = "zuora.rows"
  check.value(where, "path", path, "line")
  options = check.options(where, options, rows.options)
  rows.check(where, options)
  return rows.open(path, options, path)
end

return rows
