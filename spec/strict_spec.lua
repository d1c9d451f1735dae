-- What is not as it should be is told whichever way a result comes, as a file, as several in one, or as rows; and
-- with strict = false all of these ways have the same cells.

local support = require "spec.support"
local zuora = require "zuora"

describe("strictness", function()
  local sim, client, run, one, two, path

  setup(function()
    sim = support.simulator { segment_rows = 2 }
    client = support.quick_client(sim)
    run = assert(assert(client.reportruns:start(support.REPORT, { view = "Detail" })):wait(support.soon))
    two = assert(assert(client.jobs:submit { partner = "p", project = "q",
      queries = { { name = "a", query = "select Id, Name from Account" } } }):wait(support.soon)).batches[1]
    one = assert(assert(client.jobs:submit { queries = { { name = "a", query = "select Id, Name from Account" } } })
      :wait(support.soon)).batches[1]
    assert(#one:file_ids() == 1 and #two:file_ids() == 2)
  end)
  teardown(function()
    client:close()
    sim:stop()
  end)
  before_each(function()
    sim:heal()
    path = support.scratch("strict") .. "/file.csv"
  end)

  local function serve(body, content_type, times)
    sim:heal()
    sim:fault { on = "GET *", kind = "status", status = 200, body = body, times = times,
      headers = { ["Content-Type"] = content_type } }
  end

  local function cells_of(it, err)
    if not it then return nil, err end
    local ok, list = pcall(function()
      local seen = { it.columns }
      for row in it do seen[#seen + 1] = row end
      return seen
    end)
    if not ok then return nil, list end
    return list
  end

  local function cells_of_file(written, err)
    if not written then return nil, err end
    return cells_of(zuora.rows(written.path, { form = "array", strict = false }))
  end

  local UTF16 = "text/csv; charset=utf-16"
  -- text, its type, what is wrong with it, and its cells when nobody is strict
  local CASES = {
    ["a short row"] = { "a,b\n1,2\n3\n", "text/csv", "row 2, byte 9: the row has 1 cells",
      { { "a", "b" }, { "1", "2" }, { "3", "" } } },
    ["bad UTF-8"] = { "a,b\n1,2\n3,\255\n", "text/csv", "row 2, byte 11: bytes that are no UTF%-8",
      { { "a", "b" }, { "1", "2" }, { "3", "\u{FFFD}" } } },
    ["something behind a quote"] = { 'a,b\n1,2\n3,"x"y\n', "text/csv", "row 2, byte 14: something stands",
      { { "a", "b" }, { "1", "2" }, { "3", '"x"y' } } },
    ["an odd byte of UTF-16"] = { "\255\254a\0,\0b\0\n\0001\0,\0002\0\n\0003\0,\0x", UTF16,
      "row 2, byte 11: half a UTF%-16 character", { { "a", "b" }, { "1", "2" }, { "3", "\u{FFFD}" } } },
    ["half a pair of UTF-16"] = { "\255\254a\0,\0b\0\n\0001\0,\0002\0\n\0003\0,\0\0\216\n\0", UTF16,
      "row 2, byte 11: half a pair of UTF%-16", { { "a", "b" }, { "1", "2" }, { "3", "\u{FFFD}" } } },
  }

  local function check(ways, case)
    for name, way in pairs(ways) do
      local function served(strict)
        serve(case[1], case[2], name:find "two" and 2 or 1)
        return way(strict)
      end
      local list, err = served(nil)
      assert.is_nil(list, name)
      assert.equal("text", err.kind, name)
      assert.matches(case[3], err.message)
      assert.is_number(err.row)
      assert.is_number(err.byte)
      assert.same({}, support.listing(path:match "^(.*)/"))
      local wanted = {}
      for i, row in ipairs(case[4]) do wanted[i] = row end
      if name:find "two" then
        for i = 2, #case[4] do wanted[#wanted + 1] = case[4][i] end
      end
      assert.same(wanted, (assert(served(false))), name)
      os.remove(path)
    end
  end

  for name, case in pairs(CASES) do
    it("is the same for batches of one file and of two, and for exports: " .. name, function()
      one.recordCount, two.recordCount = 2, 4
      check({
        ["rows of one"] = function(strict) return cells_of(one:rows { strict = strict, form = "array" }) end,
        ["rows of two"] = function(strict) return cells_of(two:rows { strict = strict, form = "array" }) end,
        ["a file of one"] = function(strict) return cells_of_file(one:download(path, { strict = strict })) end,
        ["a file of two"] = function(strict) return cells_of_file(two:download(path, { strict = strict })) end,
        ["rows of a run"] = function(strict) return cells_of(run:rows { strict = strict, form = "array" }) end,
        ["the export of a run"] = function(strict) return cells_of_file(run:export(path, { strict = strict })) end,
      }, case)
    end)
  end

  it("tells of the first of two files, though the second is as it should be", function()
    two.recordCount = nil
    for _, way in ipairs { function() return two:rows() end, function() return two:download(path) end } do
      serve("a,b\n1,2\n3\n", "text/csv", 1)
      sim:fault { on = "GET *", kind = "status", status = 200, body = "a,b\n5,6\n", headers = { ["Content-Type"] = "text/csv" } }
      local done, err = way()
      assert.is_nil(done)
      assert.equal("text", err.kind)
      assert.matches("row 2, byte 9: the row has 1 cells", err.message)
      assert.same({}, support.listing(path:match "^(.*)/"))
    end
  end)

  it("makes no difference to a file that is taken as it is, but for its count", function()
    local text = "a,b\n1,2\n3\n"
    serve(text, "text/csv")
    local written = assert(client.files:download("f", path))
    assert.is_nil(written.records)
    assert.equal(text, support.read(path))
    serve(text, "text/csv")
    assert.equal(2, assert(client.files:download("f", path, { strict = false })).records)
    assert.equal(text, support.read(path))
  end)

  it("reads an export as what was exported", function()
    for text, columns in pairs { ['"a\tb\tc",d\n1,2\n'] = { "a\tb\tc", "d" },
      ["\239\187\191\239\187\191a,b\n1,2\n"] = { "\u{FEFF}a", "b" },
      ["\239\187\191PK\3\4,b\n1,2\n"] = { "PK\3\4", "b" } } do
      serve(text, "text/csv")
      assert(run:export(path))
      local it <close> = assert(zuora.rows(path, { form = "array" }))
      assert.same(columns, it.columns)
      assert.same({ "1", "2" }, it())
    end
  end)

  it("exports UTF-8 that is said to be UTF-16 as what it is", function()
    serve("a,b\n1,é\n2,日本\n", "text/csv; charset=utf-16")
    assert.equal(2, assert(run:export(path)).records)
    assert.equal("a,b\n1,é\n2,日本\n", support.read(path))
    serve("a,b\n1,é\n2,日本\n", "text/csv; charset=utf-16")
    local it <close> = assert(run:rows { form = "array" })
    assert.same({ "1", "é" }, it())
  end)
end)
