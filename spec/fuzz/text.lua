--- Rows, the counter and the rewriter of delimited text against each other: one grammar, however the bytes
-- are cut and coded, strict or not; and whatever the processor can.
--
-- Of an input the first four bytes choose what is done to the rest, which is the text.

local core = require "zuora.core"
local host = require "spec.fuzz.host"

local text = {}

local CHARSETS = { "", "utf-8", "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "UTF8", "us-ascii" }

-- --- reading ------------------------------------------------------------------------------------------

local function fail(message, row, byte, kind)
  error({ message = message, row = row, byte = byte, kind = kind }, 0)
end

-- Longer than any input that is not packed; what is longer still comes in pieces, too.
local WHOLE = 16384

-- One value as text that no other value has.
local function value_text(value)
  if value == core.null or value == nil then return "-" end
  local kind = math.type(value) or type(value)
  value = tostring(value)
  return ("%s:%d:%s"):format(kind, #value, value)
end

-- A row in any form as the text of an array.
local function row_text(row, columns, by_name)
  local cells = {}
  for i = 1, #columns do cells[i] = value_text(row[by_name and columns[i] or i]) end
  return table.concat(cells, ",")
end

-- All that is read from the bytes: the header, the rows, and the fault, each as text.
local function read(bytes, options, by_name)
  local result = { rows = {} }
  options.fail, options.chunk = fail, options.chunk or WHOLE
  local ok, fault = pcall(function()
    local it = assert(core.rows(host.file(bytes), options))
    local columns = it.columns
    result.names, result.header = columns, row_text(columns, columns)
    for row in it do
      result.rows[#result.rows + 1] = row_text(row, columns, by_name)
      assert(it.row == #result.rows and (options.form == "keyed" or #row == #columns), "another number")
    end
    it:close()
  end)
  if not ok then
    if type(fault) ~= "table" then error(fault, 0) end
    result.fault = fault
  end
  return result
end

local function of(fault) return fault and ("%s (row %d, byte %d)"):format(fault.message, fault.row, fault.byte) end

local function same(what, a, b)
  if a.header ~= b.header then error(("%s: header %q and %q"):format(what, a.header, b.header)) end
  for i = 1, math.max(#a.rows, #b.rows) do
    if a.rows[i] ~= b.rows[i] then error(("%s: row %d: %q and %q"):format(what, i, a.rows[i], b.rows[i])) end
  end
end

local function same_fault(what, a, b)
  if of(a.fault) ~= of(b.fault) then error(("%s: %s and %s"):format(what, of(a.fault), of(b.fault))) end
end

-- --- ways of writing the same text ---------------------------------------------------------------------

local function units(format)
  local memory = setmetatable({}, { __index = function(self, character)
    local code = utf8.codepoint(character)
    local unit = code < 0x10000 and format:pack(code)
      or format:pack(0xd800 + (code - 0x10000 >> 10)) .. format:pack(0xdc00 + (code - 0x10000 & 0x3ff))
    self[character] = unit
    return unit
  end })
  return function(utf) return (utf:gsub(utf8.charpattern, memory)) end
end
local little, big = units "<I2", units ">I2"

-- { bytes of a text in UTF-8, the charset that says what it is }
local CODINGS = {
  function(utf) return "\239\187\191" .. utf, "" end,
  function(utf) return little(utf), "utf-16le" end,
  function(utf) return big(utf), "utf-16be" end,
  function(utf) return "\255\254" .. little(utf), "" end,
  function(utf) return "\254\255" .. big(utf), "utf-16" end,
  function(utf) return "\239\187\191" .. utf, "utf-16" end,
}

-- May it stand for itself? What begins like a mark, or like something packed, means something else; and UTF-16
-- that nothing marks shows by its ASCII.
local function is_plain(utf)
  return utf8.len(utf) and not utf:find "%z" and not utf:find "^\239\187\191" and not utf:find "^PK\3\4"
    and (utf == "" or utf:sub(1, 64):find "[\1-\127]")
end

-- --- the target ----------------------------------------------------------------------------------------

-- What the counter, or the rewriter, makes of the segments.
local function filtered(segments, way, export, step)
  local filter, out = core.filter { rewrite = export, strict = way.strict }, {}
  for i, bytes in ipairs(segments) do
    if i > 1 and not host.keep(filter) then break end
    out[i] = host.pass(filter, way.packed and host.gzip(bytes) or bytes, step, "text/csv; charset=" .. way.charset, way.packed)
    if not out[i] then return nil, filter:records() end
  end
  return table.concat(out), filter:records()
end

-- What they have to say: as many records as rows gives, or a problem where rows has one.
local function check_records(what, whole, records, problem, row, byte)
  local said = problem and of { message = problem, row = row, byte = byte }
  if said and whole.refusable and problem == "the parts of the file have different headers" then return end
  if said ~= of(whole.fault) or not said and records ~= #whole.rows then
    error(("rows: %s %d; %s: %s %s"):format(of(whole.fault), #whole.rows, what, said, records))
  end
end

local function check_counter(segments, way, whole)
  local out, records, problem, row, byte = filtered(segments, way, false, way.step)
  local came = table.concat(segments)
  assert(out == (problem and came:sub(1, #out) or came), "the counter changes what passes")
  check_records("the counter", whole, records, problem, row, byte)
end

local function check_rewriter(segments, way, whole)
  local out, records, problem, row, byte = filtered(segments, way, true, WHOLE)
  check_records("the rewriter", whole, records, problem, row, byte)
  local out_cut, records_cut, problem_cut = filtered(segments, way, true, way.step)
  if records ~= records_cut or problem ~= problem_cut or (records and out ~= out_cut) then
    error(("the rewriter, whole and cut: %s %s, %q and %s %s, %q"):format(records, problem, out, records_cut,
      problem_cut, out_cut))
  end
  if not records then return end
  local again = read(out, { form = "array", strict = way.strict, charset = "utf-8" })
  if again.fault then error(("what was written cannot be read: %s: %q"):format(of(again.fault), out)) end
  same("what was written", whole, again)
end

-- Another segment of the same file: its rows behind those of the first, under the same header. One without any
-- bytes has none.
local function join(whole, second)
  if whole.fault then return whole end
  local fault = second.fault
  local header = whole.header ~= "" and whole.header or second.header
  if not fault and second.header ~= "" and second.header ~= header then
    fault = { message = "different headers", row = 0, byte = 1 }
  end
  local rows = table.move(whole.rows, 1, #whole.rows, 1, {})
  return { header = header, fault = fault, rows = table.move(second.rows, 1, #second.rows, #rows + 1, rows) }
end

local function check_codings(bytes, way, which)
  if not is_plain(bytes) then return end
  local expected = read(bytes, { form = "array", strict = way.strict, charset = "utf-8" })
  local coded, charset = CODINGS[which % #CODINGS + 1](bytes)
  local result = read(coded, { form = "array", strict = way.strict, charset = charset, chunk = way.step })
  same("coding", expected, result)
  same_fault("coding", expected, result)
end

local function check_forms(bytes, way, whole, form)
  local names, twice = {}, false
  for _, name in ipairs(whole.names or {}) do
    twice = twice or names[name]
    names[name] = true
  end
  if twice then return end -- of two cells of one name one is there
  local result = read(bytes, { form = form, strict = way.strict, charset = way.charset, chunk = way.step }, true)
  same(form, whole, result)
  same_fault(form, whole, result)
end

local TYPES = { "string", "integer", "number", "boolean", "time" }

-- A typed cell is a value that says what the text says, or (not strict) the text.
local function check_types(bytes, way, whole, which)
  if not whole.names or not whole.names[1] then return end
  local types = {}
  for i, name in ipairs(whole.names) do types[name] = TYPES[(which + i) % #TYPES + 1] end
  local options = { form = "array", strict = way.strict, charset = way.charset, types = types, null = "null", limit = 64 + which * 16,
    columns = table.move(whole.names, 2, #whole.names, 1, {}) }
  types[whole.names[1]] = nil
  local result = read(bytes, options)
  options.chunk = way.step
  local cut = read(bytes, options)
  same("typed", result, cut)
  same_fault("typed", result, cut)
  if not result.fault then assert(#result.rows == #whole.rows, "types lose rows") end
  options.form = "lazy"
  same("typed and lazy", result, read(bytes, options))
end

-- A column that is not there is told with those that are.
local function check_missing(bytes, way)
  local options = { form = "array", strict = way.strict, charset = way.charset, columns = { "nowhere\1" } }
  local result = read(bytes, options)
  options.columns, options.types = nil, { ["nowhere\1"] = "time" }
  same_fault("missing", result, read(bytes, options))
end

-- More rows of the same kind: enough to fill what readers keep back until they know what a file is.
local function grown(bytes)
  local head, rows = bytes:match "^([^\n]*\n)(.+)$"
  return head and head .. rows:rep(4200 // #rows + 1) or bytes
end

function text.run(data)
  local flags, coding, step, times = data:byte(1, 4)
  if not times then return end
  local bytes = data:sub(5)
  if times == 255 then bytes, step = grown(bytes), step + 64 end
  if flags & 64 ~= 0 then
    local half, plain = #bytes // 2, bytes
    bytes = host.gzip(plain:sub(1, half)) .. host.gzip(plain:sub(half + 1))
    assert(core.gunzip(bytes, step + 1) == plain:sub(1, step + 1), "unpacked as something else")
  end
  local way = { strict = flags & 1 == 0, packed = flags & 4 ~= 0,
    charset = CHARSETS[(coding & 7) + 1], step = step + 1 }
  local whole = read(bytes, { form = "array", strict = way.strict, charset = way.charset })
  local cut = read(bytes, { form = "array", strict = way.strict, charset = way.charset, chunk = way.step })
  same("whole and cut", whole, cut)
  same_fault("whole and cut", whole, cut)
  host.marks(bytes)
  local segments, joined = { bytes }, whole
  if flags & 2 ~= 0 then
    segments[2] = coding & 128 ~= 0 and bytes:sub(2) or bytes
    joined = join(whole, read(segments[2], { form = "array", strict = way.strict, charset = way.charset }))
    joined.refusable = segments[2] ~= bytes -- the same names may be written in two ways
  end
  check_counter(segments, way, joined)
  check_rewriter(segments, way, joined)
  if flags & 8 ~= 0 then check_forms(bytes, way, whole, flags & 16 ~= 0 and "keyed" or "lazy") end
  if flags & 32 ~= 0 then check_codings(bytes, way, coding >> 3) end
  if flags & 128 ~= 0 then
    check_types(bytes, way, whole, coding >> 3)
    check_missing(bytes, way)
  end
end

--- Reads, counts and writes anew in small pieces.
function text.read_all(bytes, strict)
  pcall(function()
    local it <close> = core.rows(host.file(bytes), { form = "lazy", strict = strict, charset = "utf-8", chunk = 8, fail = fail })
    repeat until not it()
  end)
  filtered({ bytes }, { strict = strict, charset = "utf-8" }, true, 8)
end

return text
