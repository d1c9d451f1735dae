-- The query language of the simulated AQuA and data queries: what it reads, and what comes of it over HTTP.

local core = require "zuora.core"
local http = require "spec.simulator.http"
local zoql = require "zuora.simulator.engine.zoql"

describe("simulated ZOQL", function()
  it("reads a query whatever its letters, blanks, quotes and its end", function()
    for _, good in ipairs { "select x from A", "SELECT *\nFROM A;", "select x,y from A where(x='it''s')and\ty>=-5.5",
      "select A.x, A.* from A", 'select x as "the ""x""" from A', "select count ( * ) from A group by x having sum(y) > 5",
      "select x from A where not (x in (1, 'b') or y not like 'a%') and z between 1 and 2 order by x desc, y limit 5, 10",
      "select x from A where d >= timestamp '2026-01-01 00:00:00' and d < 2026-02-01T00:00:00Z", "select Id from Order" } do
      assert.is_table(zoql.parse(good), good)
    end
  end)

  it("refuses all else", function()
    for _, bad in ipairs { "", "select", "select from A", "select x", "select x from", "select x, from A",
      "select x from A where", "select x from A where x", "select x from A where x =", "select x from A where x ~ 5",
      "select x from A where x = 'open", "select x from A order x", "select x from A where (x = 1", "select x from A)",
      "select x from A where x = 1 and", "delete from A", "select x from A; select y", "select x y from A",
      "select lower(x) from A", "select sum(*) from A", "select sum(sum(x)) from A", "select x from A where count(x) > 1",
      "select x from A where x in ()", "select x from A where x < null", "select x from A where x not = 1",
      "select x from A limit x", "select x from A limit -1", "select x. from A", "select x from A where x.* = 1",
      "select x from A having", "select x as from A" } do
      assert.is_nil(zoql.parse(bad), bad)
    end
    assert.is_nil(zoql.parse(nil))
    assert.is_nil(zoql.parse {})
  end)
end)

describe("a simulated export", function()
  local caller

  setup(function()
    caller = http.open { seconds = 0, objects = {
      Big = { generate = { rows = 600 } },
      Account = { columns = { "Id", "Name", "Balance", "BillToId" }, rows = {
        { "a1", "Alpha", "10.10", "c1" }, { "a2", "Beta", "9", "" }, { "a3", "", "0.20", "c1" } } },
      Contact = { columns = { "Id", "FirstName" }, rows = { { "c1", "Ann" } } },
      Invoice = { columns = { "Id", "AccountId", "Amount", "DueDate", "UpdatedDate", "Note" }, rows = {
        { "i1", "a1", "5.5", "2026-03-01", "2026-02-28T20:00:00+0000", "x" },
        { "i2", "a1", "4.5", "2026-03-02", "2026-03-01T09:59:59+1000", "10" },
        { "i3", "a2", "100", "2026-03-01", "2026-03-02T00:00:00Z", "9" },
        { "i4", "a9", "", "", "2026-03-02T12:00:00Z", "" } } },
    } }
  end)
  teardown(function() caller:close() end)

  local function submit(query, more)
    local fields = { useQueryLabels = true, queries = { { name = "q", query = query, type = "zoqlexport" } } }
    for name, value in pairs(more or {}) do fields[name] = value end
    return select(2, caller:send("POST", "/v1/batch-query", caller:bearer(), fields))
  end

  local function job_of(query, more)
    local job = submit(query, more)
    assert.is_string(job.id, core.encode(job))
    return select(2, caller:ask("GET", "/v1/batch-query/jobs/" .. job.id, caller:bearer()))
  end

  -- The lines of a result, its header first.
  local function lines_of(query, more)
    local job = job_of(query, more)
    assert.equal("completed", job.status, job.batches[1].message)
    local text, lines = select(2, caller:ask("GET", "/v1/files/" .. job.batches[1].fileId, caller:bearer())), {}
    for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(#lines - 1, job.batches[1].recordCount)
    return lines
  end

  local function is_aborted(words, query)
    local job = job_of(query)
    assert.equal("aborted", job.status)
    assert.matches(words, job.batches[1].message, 1, true)
  end

  -- The ids of the invoices for which a condition holds.
  local function found(where)
    local lines = lines_of("select Id from Invoice where " .. where)
    return table.concat(lines, " ", 2)
  end

  it("compares numbers as numbers, text as text, and knows what is nothing", function()
    for where, ids in pairs {
      ["Amount > 5"] = "i1 i3", ["Amount = '5.50'"] = "i1", ["Note > 9.5"] = "i2", ["Note > '9'"] = "i1", ["Note = '010'"] = "",
      ["Amount = null"] = "i4", ["Amount is null"] = "i4", ["Amount != null"] = "i1 i2 i3", ["Note is not null"] = "i1 i2 i3",
      ["Amount != 100"] = "i1 i2", ["not Amount > 5"] = "i2", ["Amount <> 100 or Id = 'i4'"] = "i1 i2 i4",
      ["Note like 'X'"] = "i1", ["Note like '_0'"] = "i2", ["Note not like '%0'"] = "i1 i3",
      ["Id in ('i1','i4')"] = "i1 i4", ["Amount in (100, 4.50)"] = "i2 i3", ["Id not in ('i1')"] = "i2 i3 i4",
      ["Amount between 4.5 and 5.5"] = "i1 i2", ["Amount >= Note"] = "i3",
      ["Id = 'i1' or Id = 'i2' and Amount = 0"] = "i1", ["(Id = 'i1' or Id = 'i2') and Amount = 4.5"] = "i2",
      ["Invoice.Id = 'i3'"] = "i3", ["account.id = 'a1'"] = "i1 i2", ["Account.Name = 'Beta' or Account.Balance = 10.1"] = "i1 i2 i3",
    } do assert.equal(ids, found(where), where) end
  end)

  it("compares datetimes as times, and a date alone as the whole day", function()
    for where, ids in pairs {
      ["UpdatedDate >= '2026-03-01'"] = "i3 i4", ["UpdatedDate >= '2026-03-01T00:00:00+10:00'"] = "i1 i2 i3 i4",
      ["UpdatedDate = '2026-02-28'"] = "i1 i2", ["UpdatedDate > '2026-02-28'"] = "i3 i4", ["UpdatedDate <= '2026-02-28'"] = "i1 i2",
      ["UpdatedDate < '2026-02-28T23:59:59Z'"] = "i1", ["UpdatedDate = '2026-02-28T23:59:59Z'"] = "i2",
      ["UpdatedDate >= '2026-03-02T10:00:00+1000'"] = "i3 i4", ["UpdatedDate > '2026-03-02T10:00:00+10:00'"] = "i4",
      ["DueDate = '2026-03-01'"] = "i1 i3", ["DueDate > '2026-03-01Z'"] = "i2", ["not DueDate = '2026-03-01'"] = "i2",
      ["UpdatedDate < DueDate"] = "i1 i2", ["UpdatedDate > DueDate"] = "i3",
      ["UpdatedDate < 'today'"] = "i1 i2 i3 i4", ["UpdatedDate > 'now - 1 hour'"] = "",
      ["UpdatedDate > 'today - 100 years (-08:00)'"] = "i1 i2 i3 i4",
    } do assert.equal(ids, found(where), where) end
  end)

  it("keeps the traps of the real thing", function()
    assert.equal("i1 i2 i3 i4", found "UpdatedDate >= '2027-01-01 00:00:00'") -- ignored: the whole table
    assert.equal("", found "UpdatedDate < '2027-01-01T00:00:00.123Z'") -- no row at all
  end)

  it("sorts and cuts", function()
    assert.same({ "Invoice.Id", "i4", "i2", "i1", "i3" }, lines_of "select Id from Invoice order by Amount")
    assert.same({ "Invoice.Id", "i1", "i3" }, lines_of "select Id from Invoice order by Note desc limit 2")
    assert.same({ "Invoice.Id", "i4", "i3", "i1", "i2" },
      lines_of "select Invoice.Id from Invoice order by DueDate asc, UpdatedDate desc;")
    assert.same({ "Invoice.Id", "i2", "i3" }, lines_of "select Id from Invoice limit 1,2")
    assert.same({ "Invoice.Id" }, lines_of "select Id from Invoice limit 0")
    -- Paging by id leaves none out.
    local last, ids = "", {}
    for _ = 1, 3 do
      local lines = lines_of(("select Id from Invoice where Id > '%s' order by Id limit 2"):format(last))
      table.move(lines, 2, #lines, #ids + 1, ids)
      last = ids[#ids]
    end
    assert.same({ "i1", "i2", "i3", "i4" }, ids)
  end)

  it("counts and adds up", function()
    assert.same({ "count(*),count(Invoice.Amount),sum(Invoice.Amount),min(Invoice.Amount),max(Invoice.Amount),avg(Invoice.Amount)",
      "4,3,110.0,4.5,100,36.66667" },
      lines_of "select count(*), COUNT(Amount), sum(Invoice.Amount), min(Amount), max(Amount), avg(Amount) from Invoice")
    assert.same({ "n,s,m", "0,," }, lines_of 'select count(*) as n, sum(Amount) as "s", max(Id) as m from Invoice where Id = 0')
    assert.same({ "count(distinct Invoice.AccountId)", "3" }, lines_of("select count(distinct AccountId) from Invoice",
      { queries = { { query = "select count(distinct AccountId) from Invoice", type = "zoql" } } }))
    assert.same({ "Account.Id,total", "a1,10.0", "a2,100" },
      lines_of "select Account.Id, sum(Amount) as total from Invoice where Amount > 0 group by Account.Id order by Account.Id")
    assert.same({ "Account.Id", "a2", "a1" },
      lines_of "select Account.Id from Invoice group by Account.Id having sum(Amount) >= 10 order by sum(Amount) desc")
    is_aborted("does not appear in the GROUP BY", "select Id, count(*) from Invoice group by Account.Id")
    assert.equal("90020", submit("select distinct Name from Account").errorCode)
  end)

  it("heads its columns by their aliases, and by the objects that they are of", function()
    assert.same({ "Account.Id,Who,Account.Balance", "a1,Alpha,10.10" },
      lines_of 'select Account.Id, Name as "Who", Balance as "account.balance" from Account limit 1')
    assert.same({ "Invoice: Id,Account: Name,sum(Invoice: Amount)" },
      lines_of("select Id, Account.Name, sum(Amount) from Invoice where Id = 0 group by Id, Account.Name", { useQueryLabels = false }))
    is_aborted("Duplicate column aliases x were defined.", 'select Id as "x", Name as x from Account')
  end)

  it("joins what the description says can be joined", function()
    assert.same({ "Invoice.Id,Account.Name,Account.Id", "i1,Alpha,a1", "i2,Alpha,a1", "i3,Beta,a2", "i4,,a9" },
      lines_of "select Id, Account.Name, Account.Id from Invoice")
    assert.same({ "Account.Id,BillToContact.Id,BillToContact.FirstName", "a1,c1,Ann", "a2,,", "a3,c1,Ann" },
      lines_of "select Id, billtocontact.* from Account")
    assert.same({ "Invoice.Id,Invoice.Amount,Invoice.DueDate,Invoice.UpdatedDate,Invoice.Note" },
      lines_of "select * from Invoice limit 0") -- without what leads to others
    is_aborted("There is no field named AccountId on Invoice.", "select AccountId from Invoice")
    is_aborted("There is no field named Account.Nothing on Invoice.", "select Account.Nothing from Invoice")
    is_aborted("There is no object named Product on Invoice.", "select Product.* from Invoice")
    is_aborted("There is no field named Nothing on Account.", "select Id from Account where Nothing = 1")
  end)

  it("is more than plain ZOQL", function()
    local function plain(query) return { queries = { { query = query, type = "zoql" } } } end
    assert.same({ "Invoice.AccountId", "a2" }, lines_of("", plain "select AccountId from Invoice where Amount > 5.5"))
    for _, query in ipairs { "select * from Account", "select Id from Account order by Id",
      "select Id from Account where Id in ('a1')" } do
      assert.equal("90005", submit("", plain(query)).errorCode, query)
    end
    assert.equal("aborted", job_of("", plain "select Account.Name from Invoice").status)
  end)

  it("lays out generated rows only where nothing is asked of them", function()
    assert.equal(601, #lines_of "select Id from Big")
    assert.same({ "Big.Id", "00000001088", "00000001087" }, lines_of "select Id from Big order by Id desc limit 2")
    assert.same({ "n", "600" }, lines_of "select count(*) as n from Big")
    assert.equal(11, #lines_of "select Id from Big limit 10")
  end)
end)

describe("a simulated data query", function()
  local caller

  setup(function()
    caller = http.open { seconds = 0, objects = { Invoice = { columns = { "Id", "AccountId", "Amount", "UpdatedDate" }, rows = {
      { "i1", "a1", 5, "2026-03-01T00:00:00Z" }, { "i2", "a1", 7, "2026-03-02T00:00:00Z" },
      { "i3", "a2", 1, "2026-03-03T00:00:00Z" } } }, Account = { columns = { "Id" } } } }
  end)
  teardown(function() caller:close() end)

  local function result(query, format)
    local job = select(2, caller:send("POST", "/query/jobs", caller:bearer(), { query = query, outputFormat = format or "CSV",
      compression = "NONE", output = { target = "S3" } })).data
    job = select(2, caller:ask("GET", "/query/jobs/" .. job.id, caller:bearer())).data
    assert.equal("completed", job.queryStatus, job.errorMessage)
    return (select(2, caller:ask("GET", job.dataFile)))
  end

  it("speaks SQL", function()
    assert.equal("AccountId\na1\na2\n", result "select distinct AccountId from Invoice")
    assert.equal("a,_col1,n\na1,12,2\na2,1,1\n",
      result "select AccountId as a, sum(Amount), count(*) as n from invoice group by AccountId order by n desc limit 5")
    assert.equal("Id\ni2\ni3\n", result "select Invoice.Id from Invoice where UpdatedDate > timestamp '2026-03-01 12:00:00'")
    assert.equal("Id,AccountId,Amount,UpdatedDate\n", result "select * from Invoice where Id is null;")
    assert.same({ n = 3 }, result("select count(*) as n from Invoice", "JSON"))
  end)
end)
