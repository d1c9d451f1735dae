-- Records as lines of JSON: core.lines.

local core = require "zuora.core"
local error_value = require "zuora.error"
local rows = require "zuora.rows"
local support = require "spec.support"

describe("core.lines", function()
  local path = support.scratch "lines" .. "/rows.csv"

  -- The lines of a text, whose columns are of these types: C or C=type, and ? for what is quoted.
  local function lines(text, types, more)
    support.write(path, text)
    local it <close> = assert(rows.of_file(path, more and more.rows or { form = "lazy" }))
    local members = more and more.members or {}
    for name, kind in (types or ""):gmatch "(%w+)=([%w?]+)" do
      for place, column in ipairs(it.columns) do
        if column == name then
          members[#members + 1] = { key = (#members > 0 and "," or "") .. '"' .. name .. '":', place = place,
            type = kind:gsub("?", ""), quoted = kind:find "?" ~= nil }
        end
      end
    end
    local all, counts = {}, {}
    while true do
      local piece, count = core.lines(it, { head = "{", tail = "}\n", members = members, size = more and more.size })
      if not piece then break end
      all[#all + 1], counts[#counts + 1] = piece, count
    end
    return table.concat(all), counts
  end

  local function value(cell, kind) return lines("A\n" .. cell .. "\n", "A=" .. kind):match '^{"A":(.*)}\n$' end

  it("has numbers as they stand, exact however long they are", function()
    for cell, text in pairs { ["1729.760"] = "1729.760", ["-0.10"] = "-0.10", ["+1.5"] = "1.5", [".5"] = "0.5",
      ["-.5"] = "-0.5", ["007.10"] = "7.10", ["5."] = "5", ["0"] = "0", ["000"] = "0", ["1E-9"] = "1E-9",
      ["123456789012345678901234567890.123456789"] = "123456789012345678901234567890.123456789" } do
      assert.equal(text, value(cell, "number"))
      assert.equal('"' .. text .. '"', value(cell, "number?"))
    end
    for cell, text in pairs { ["12"] = "12", ["-012"] = "-12", ["3.00"] = "3", ["99999999999999999999"] = "99999999999999999999" } do
      assert.equal(text, value(cell, "integer"))
    end
  end)

  it("has times as RFC 3339 wants them", function()
    for cell, text in pairs { ["2026-08-04"] = "2026-08-04T00:00:00Z", ["2026-08-04T20:11:15+0000"] = "2026-08-04T20:11:15Z",
      ["2026-08-04 20:11:15"] = "2026-08-04T20:11:15Z", ["2026-08-04T20:11:15.250-0730"] = "2026-08-04T20:11:15.250-07:30",
      ["2026-08-04T20:11+10:00"] = "2026-08-04T20:11:00+10:00", ["2026-08-04t20:11:15.z"] = "2026-08-04T20:11:15Z",
      ["2026-08-04T20:11:15+0030"] = "2026-08-04T20:11:15+00:30" } do
      assert.equal('"' .. text .. '"', value(cell, "time"))
    end
  end)

  it("has truth, texts with whatever is in them, and null for what is empty", function()
    assert.equal("true", value("TRUE", "boolean"))
    assert.equal("false", value("false", "boolean"))
    local text = ('"a ""b"" \\ / \n\r\t\1\31 %s"'):format "日本 🙂\u{2028}"
    assert.equal([["a \"b\" \\ / \n\r\t\u0001\u001f 日本 🙂]] .. "\u{2028}\"", value(text, "string"))
    assert.equal('{"B":null,"A":null}\n', lines("A,B\n,\n", "B=number A=string"))
    for byte = 1, 127 do
      local cell = string.char(byte):rep(3)
      local line = lines('A,B\n"' .. cell:gsub('"', '""') .. '",x\n', "A=string B=string")
      assert.same({ A = cell, B = "x" }, core.decode(line))
    end
  end)

  it("has a cell only where its gate is open", function()
    local members = { { key = '"gone":', place = 1, type = "time", gate = 2 } }
    assert.equal('{"gone":null}\n{"gone":"2026-08-04T00:00:00Z"}\n{"gone":null}\n', lines("T,D\n2026-08-04,false\n"
      .. "2026-08-04,true\n2026-08-04,\n", nil, { members = members }))
    members = { { key = '"gone":', fixed = '"now"', gate = 2 }, { key = ',"is":', fixed = "1" } }
    assert.equal('{"gone":null,"is":1}\n{"gone":"now","is":1}\n', lines("T,D\nx,false\nx,true\n", nil, { members = members }))
  end)

  it("comes in pieces of whole lines", function()
    local text = "A\n" .. ("abc\n"):rep(1000)
    local whole, counts = lines(text, "A=string", { size = 100 })
    assert.equal(('{"A":"abc"}\n'):rep(1000), whole)
    assert.equal(9, counts[1])
    assert.equal(112, #counts)
    assert.same({ "", {} }, { lines("A\n", "A=string") })
    assert.same({ "", {} }, { lines("", "A=string") })
  end)

  it("raises for what is not of its type, and says where it is", function()
    for kind, cells in pairs { number = { "x", "1,2", "-", ".", "1e", "0x10", "1 ", "--1", "1.2.3", "NaN" },
      integer = { "1.5", "1e3", "x", "1-" }, time = { "yesterday", "2026-02-30", "2026-08-04T25:00:00Z" },
      boolean = { "yes", "1" } } do
      for _, cell in ipairs(cells) do
        local ok, err = pcall(lines, ('A\n\n"%s"\n'):format(cell), "A=" .. kind)
        assert.is_false(ok, cell)
        assert.is_true(error_value.is(err), tostring(err))
        assert.equal("text", err.kind)
        assert.matches("column A: n", err.message)
      end
    end
    local ok, err = pcall(lines, "A,B\nx,y\nz\n", "A=string")
    assert.is_false(ok)
    assert.equal(2, err.row)
    assert.has_error(function() lines("A\nx\n", "A=string", { rows = { form = "lazy", strict = false } }) end)
    assert.has_error(function() lines("A\nx\n", nil, { members = { { key = "", place = 2 } } }) end)
    assert.has_error(function() lines("A\nx\n", nil, { members = { { key = "", place = 1, kind = "x" } } }) end)
    assert.has_error(function() core.lines({}, {}) end)
  end)

  it("gives nothing after the end, and after a close", function()
    support.write(path, "A\nx\n")
    local it = assert(rows.of_file(path, { form = "lazy" }))
    it:close()
    assert.is_nil(core.lines(it, { members = {} }))
  end)
end)
