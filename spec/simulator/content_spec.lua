local content = require "zuora.simulator.engine.content"
local objects = require "zuora.simulator.engine.objects"
local text = require "zuora.simulator.engine.text"
local support = require "spec.support"

local function all(whole, from, to)
  local pieces = {}
  for piece in whole.stream(from or 0, to or whole.length) do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

describe("a content", function()
  local function same_parts(whole, expected)
    assert.equal(#expected, whole.length)
    assert.equal(expected, all(whole))
    for _, part in ipairs { { 0, 1 }, { 0, 0 }, { 3, 9 }, { #expected - 1, #expected }, { #expected // 2, #expected },
      { 1, #expected - 1 } } do
      assert.equal(expected:sub(part[1] + 1, part[2]), all(whole, part[1], part[2]))
    end
  end

  it("is a text, a file, or blocks, and any part of it", function()
    same_parts(content.text("0123456789"), "0123456789")
    same_parts(content.file(function(put) put "01234" put "56789" end), "0123456789")
    local blocks = content.blocks("head:", function(n) return n < 3 and ("<%d>"):format(n) or "end" end, 3, 5 + 9 + 3)
    same_parts(blocks, "head:<0><1><2>end")
    for from = 0, 17 do
      for to = from, 17 do assert.equal(("head:<0><1><2>end"):sub(from + 1, to), all(blocks, from, to)) end
    end
  end)

  it("may be read by several at once", function()
    local whole = content.file(function(put) put(("x"):rep(300000) .. ("y"):rep(300000)) end)
    local a, b = whole.stream(0, whole.length), whole.stream(300000, whole.length)
    assert.equal("x", a():sub(1, 1))
    assert.equal("y", b():sub(1, 1))
    assert.matches("x+y+", a())
  end)

  it("reads Range headers", function()
    assert.same({ 5, 10 }, { content.range("bytes=5-", 10) })
    assert.same({ 5, 8 }, { content.range("bytes=5-7", 10) })
    assert.same({ 5, 10 }, { content.range("bytes=5-99", 10) })
    assert.same({ 7, 10 }, { content.range("bytes=-3", 10) })
    assert.same({ 0, 10 }, { content.range("bytes=-30", 10) })
    assert.is_false((content.range("bytes=10-", 10)))
    assert.is_false((content.range("bytes=-0", 10)))
    for _, bad in ipairs { "bytes=", "bytes=-", "bytes=7-5", "bytes=1-2,4-5", "lines=1-2", "" } do
      assert.is_nil((content.range(bad, 10)))
    end
  end)
end)

describe("generated rows", function()
  local function rows_of(object)
    local rows = {}
    for row in object.each(0, math.huge) do rows[#rows + 1] = row end
    return rows
  end

  it("are the same for the same seed, whether gone through or laid out", function()
    for _, count in ipairs { 0, 1, 511, 512, 513, 1600 } do
      local given = { generate = { rows = count, seed = 7, awkward = true } }
      local object, again = objects.new(given), objects.new(given)
      local rows = rows_of(object)
      assert.equal(count, #rows)
      assert.same(rows, rows_of(again))
      for _, places in ipairs { { 1, 2, 3, 4, 5, 6, 7, 8 }, { 3, 1 }, { 8, 3 } } do
        local lines = {}
        for i, row in ipairs(rows) do
          local cells = {}
          for k, place in ipairs(places) do cells[k] = row[place] end
          lines[i] = text.line(cells, #cells, ",")
        end
        local laid_out = object.lay_out(places, ",", "head\n", function(piece) return piece end)
        local expected = "head\n" .. table.concat(lines)
        assert.equal(#expected, laid_out.length)
        assert.equal(expected, all(laid_out))
      end
    end
  end)

  it("differ by seed, and have ids of their own", function()
    local one = rows_of(objects.new { generate = { rows = 1500, seed = 1 } })
    local two = rows_of(objects.new { generate = { rows = 1500, seed = 2 } })
    assert.not_same(one, two)
    local seen = {}
    for _, row in ipairs(one) do
      assert.is_nil(seen[row[1]])
      seen[row[1]] = true
    end
  end)

  it("are awkward on purpose when that is asked for", function()
    local joined = {}
    for _, row in ipairs(rows_of(objects.new { generate = { rows = 512, awkward = true } })) do
      joined[#joined + 1] = row[3]
    end
    joined = table.concat(joined, "|")
    for _, awkward in ipairs { "\"Jim\"", "\n", "\r\n", "日本語", "🙂", "\t" } do
      assert.is_truthy(joined:find(awkward, 1, true), awkward)
    end
  end)
end)

describe("rows of CSV files", function()
  it("are read with their quotes and newlines", function()
    local path = support.scratch "objects" .. "/objects.csv"
    local file = assert(io.open(path, "w"))
    file:write('Id,Name\r\n1,"a ""b"", c"\r\n2,"two\nlines"\r\n3,\r\n4,"last"')
    file:close()
    local object, rows = objects.new { csv = path }, {}
    for row in object.each(0, math.huge) do rows[#rows + 1] = row end
    assert.same({ "Id", "Name" }, object.columns)
    assert.same({ { "1", 'a "b", c' }, { "2", "two\nlines" }, { "3", "" }, { "4", "last" } }, rows)
    assert.is_nil(object.each(5, math.huge)())
    assert.has_error(function() objects.new { csv = "build/spec/none.csv" } end)
  end)
end)
