-- The small parts of an extraction: zuora.extract.query, zuora.extract.base.times, zuora.extract.base.reads, zuora.extract.base.json,
-- zuora.extract.base.lazy, zuora.extract.base.columns, zuora.extract.base.digest, zuora.extract.base.disk, zuora.extract.totals.

local columns = require "zuora.extract.base.columns"
local digest = require "zuora.extract.base.digest"
local disk = require "zuora.extract.base.disk"
local json = require "zuora.extract.base.json"
local lazy = require "zuora.extract.base.lazy"
local plan = require "zuora.extract.plan"
local query = require "zuora.extract.query"
local reads = require "zuora.extract.base.reads"
local support = require "spec.support"
local times = require "zuora.extract.base.times"

describe("the queries of an extraction", function()
  local function item(fields)
    local read = assert(plan.read { plan = "p", output = "o", items = { fields } }).items[1]
    read.parsed = query.parse(read.query)
    return read
  end
  local A, B = "20261127T100000Z", "20261128T100000Z"

  it("get a key and a cursor, and conditions of their own in parentheses", function()
    local q = item { query = "select Name from Account where a = 'b or c' or d = 'it''s (x'", name = "q",
      cursor = "UpdatedDate" }
    assert.equal("select Name, Id, UpdatedDate from Account where (a = 'b or c' or d = 'it''s (x') and UpdatedDate >= "
      .. "'2026-11-27T10:00:00Z'", query.text(q, { from = A, to = B }))
    q = item { query = "select Account.ID, sum(x, 'a,b'), updateddate from Account;", name = "q", cursor = "UpdatedDate" }
    assert.equal("select Account.ID, sum(x, 'a,b'), updateddate from Account", query.text(q, { from = "", to = B }))
  end)

  it("are open above, but where rows are only added, or a piece ends", function()
    local q = item { query = "select Id from T", name = "q", cursor = "TransactionDate" }
    q.is_append = true
    assert.equal("select Id, TransactionDate from T where TransactionDate >= '2026-11-27T10:00:00Z' and TransactionDate < "
      .. "'2026-11-28T10:00:00Z'", query.text(q, { from = A, to = B }))
    q.is_append = false
    assert.matches("< '2026%-11%-28T10:00:00Z'$", query.text(q, { from = A, to = B, closed = true }))
    assert.equal("select Id, TransactionDate from T where Id > 'a''b' order by Id limit 5",
      query.text(q, { from = "", to = B, after = "a'b", limit = 5 }))
  end)

  it("are as the user wrote them where there is no cursor", function()
    local text = "select Name, count(Id) from Account group by Name order by Name limit 3"
    assert.equal(text, query.text(item { query = text, name = "q" }, { from = "", to = B }))
  end)

  it("have totals over the same rows", function()
    local q = item { query = "select Id from T where x = 1", name = "q", cursor = "UpdatedDate",
      totals = { "count", "sum(Amount)" } }
    assert.equal("select count(Id), sum(Amount) from T where (x = 1) and UpdatedDate >= '2026-11-27T10:00:00Z'",
      query.totals(q, { from = A, to = B }))
  end)
end)

describe("the times of an extraction", function()
  it("go both ways", function()
    assert.equal("20261128T100000Z", times.stamp(1795860000))
    assert.equal(1795860000, times.of "20261128T100000Z")
    assert.equal("2026-11-28T10:00:00Z", times.iso(1795860000))
    assert.is_nil(times.of "")
    assert.equal(1795860000, times.of_header "Sat, 28 Nov 2026 10:00:00 GMT")
    assert.is_nil(times.of_header "yesterday")
    assert.is_nil(times.of_header(nil))
  end)

  it("lie on a grid, so that whoever reads within a step reads the same", function()
    assert.equal(times.grid(1795863599, 0, 3600), times.grid(1795860000, 0, 3600))
    assert.not_equal(times.grid(1795863600, 0, 3600), times.grid(1795863599, 0, 3600))
    assert.equal(1795860000 - 7200, times.grid(1795860000, 7200, 3600))
  end)
end)

describe("a read", function()
  local of = { plan = "p", item = "Account", entity = "" }

  it("is never taken for another", function()
    local seen = {}
    for _, fields in ipairs { { kind = "window", read_from = "a", read_to = "b" },
      { kind = "lookback", read_from = "a", read_to = "b" }, { kind = "window", read_from = "a", read_to = "b",
      generation = 1 }, { kind = "window", read_from = "a", read_to = "b", piece = "id:x" },
      { kind = "window", read_to = "b" } } do
      local read = reads.new(of, fields)
      assert.is_nil(seen[reads.identity(read)])
      assert.is_nil(seen[reads.path(read)])
      seen[reads.identity(read)], seen[reads.path(read)] = true, true
    end
    local first = reads.new(of, { kind = "full", read_to = "b" })
    local path = reads.path(first)
    first.attempt = 2
    assert.not_equal(path, reads.path(first))
    assert.not_equal(reads.path(reads.new({ plan = "p", item = "Account", entity = "e1" }, { kind = "full",
      read_to = "b" })), path)
  end)
end)

describe("the files of an extraction", function()
  local folder = support.scratch "extract-files"

  it("are written whole, and read again", function()
    support.shell("rm -rf " .. folder)
    disk.folder(folder .. "/a/b")
    disk.write(folder .. "/a/b/c", "text")
    assert.equal("text", disk.read(folder .. "/a/b/c"))
    assert.equal(4, disk.size(folder .. "/a/b/c"))
    assert.same({ "c" }, disk.names(folder .. "/a/b"))
    assert.is_nil(disk.read(folder .. "/nonesuch"))
    assert.same({}, disk.names(folder .. "/nonesuch"))
    disk.write(folder .. "/a/b/c", function(out)
      out "piece "
      out "by piece"
    end)
    assert.equal("piece by piece", disk.read(folder .. "/a/b/c"))
    local ok, err = pcall(disk.write, folder .. "/nonesuch/c", "text")
    assert.is_false(ok)
    assert.equal("file", err.kind)
    assert.is_false((pcall(disk.sync, folder .. "/nonesuch")))
  end)

  it("have digests that sha256sum has, too", function()
    disk.write(folder .. "/sum", ("x"):rep(3000000))
    assert.equal(support.shell("sha256sum " .. folder .. "/sum"):match "%x+", digest.file(folder .. "/sum"))
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", digest.text "abc")
    assert.is_nil((digest.file(folder .. "/nonesuch")))
    assert.matches("extract%-files: Is a directory", select(2, digest.file(folder)))
  end)

  it("are JSON that is always the same", function()
    local value = { b = { 1, 2, { z = true, a = "x\"y" } }, a = "1", c = {} }
    assert.equal(json.encode(value), json.encode(json.decode(json.encode(value))))
    assert.same(value.b, json.decode(json.encode(value)).b)
    assert.equal('[\n  "a/b\\\\/c\\\\"\n]', json.encode { "a/b\\/c\\" })
  end)

  it("are JSON, the members of a list in which are found where they are", function()
    local function members(text)
      local list, bounds = {}, json.members(text, "items")
      for i = 1, bounds and #bounds - 1 or 0 do list[i] = text:sub(bounds[i] + 1, bounds[i + 1] - 1) end
      return bounds and list
    end
    assert.same({ '{"a":[1,{"b":2}]}', ' "]\\"," ', "null" },
      members '{"x":{"items":[5]},"items" : [{"a":[1,{"b":2}]}, "]\\"," ,null],"z":[1]}')
    assert.same({ "" }, members '{"x":"items","items":[]}')
    for _, text in ipairs { '{"x":"items","y":[1]}', '{"items":[1,2', '{"items":["a', '{"items":["a\\',
      '{"items":{"items":[1]}}', '["items",[1]]', "" } do
      assert.is_nil(members(text), text)
    end
    support.assert_linear(members, function(n) return '{"items":[' .. ('{"a":"\\\\"},'):rep(n) .. "1]}" end, 10000)
  end)

  it("are lists whose members are made when they are looked at", function()
    local made = 0
    local list = lazy.list(3, function(i)
      made = made + 1
      return i ~= 2 and { i }
    end)
    assert.equal(3, #list)
    assert.equal(0, made)
    assert.same({ 3 }, list[3])
    assert.is_not.equal(list[3], list[3])
    assert.is_false(list[2])
    assert.same({ nil, nil, nil }, { list[0], list[4], list.n })
    for _, each in ipairs { ipairs, pairs } do
      local places = {}
      for place in each(list) do places[#places + 1] = place end
      assert.same({ 1, 2, 3 }, places)
    end
    assert.equal(json.encode { { 1 }, false, { 3 } }, json.encode(list))
  end)

  it("have columns that bear the object's name, or none", function()
    assert.equal(2, columns.find({ "Account.Name", "Account.Id" }, "account", "ID"))
    assert.equal(1, columns.find({ "Id" }, "Account", "Id"))
    assert.is_nil(columns.find({ "BillTo.Id" }, "Account", "Id"))
    assert.equal("Id", columns.plain("Account.Id", "Account"))
    assert.equal("BillTo.Id", columns.plain("BillTo.Id", "Account"))
  end)
end)
