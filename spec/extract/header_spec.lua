-- zuora.extract.header: which headers Zuora may write for what was asked, and which are of something else.

local columns = require "zuora.extract.base.columns"
local header = require "zuora.extract.header"
local support = require "spec.support"
local tables = require "zuora.load.tables"

describe("the header of a file", function()
  local path = support.scratch "header" .. ".csv"

  -- What is missing, as a text; nil: nothing.
  local function problem_of(kind, query, text, deleted)
    support.write(path, text .. "\n")
    local ok, err = pcall(header.check, { name = "it", kind = kind, deleted = deleted }, { query = query, kind = "window" },
      path, { bytes = #text + 1 }, true)
    if ok then return nil end
    assert.equal("incomplete", err.kind)
    return err.message
  end

  it("has all columns that were asked for, in any order, case and with what Zuora adds", function()
    for _, one in ipairs {
      { "object", "select Id, Name from Account", "Account.Name,Account.Id" },
      { "object", "select Id, Name from Account where Name = 'a, b'", "account.id,ACCOUNT.NAME,Account.GuideID" },
      { "query", "select id, name from account", "Id,Name" },
      { "query", "select Id, Account.Name, BillToContact.Country from Invoice", "Contact.Country,Invoice.Id,Account.Name" },
      { "query", "select Account.Id, Name from Account", "Account.Name,Account.Id" },
      { "query", "select Status, count(Id), sum(Balance) total from Account group by Status",
        "Account.Status,count(Account.Id),total" },
      { "query", "select * from Account", "Account.Id,Account.Name" },
      { "object", "select Id from Account", "Account.Id,_zuora_deleted", true },
      { "data_query", "select Id, account.Name from account", "id,name" },
      { "data_query", "select a.id from account a join invoice i on a.id = i.accountid", "id" },
      { "data_query", "select id, upper(name) from account", "id,_col1" },
      { "data_query", "select id, null from account", "id,_col1" },
      { "report", "", "Account: Name,Whatever" } } do
      assert.is_nil(problem_of(table.unpack(one)), one[2])
    end
  end)

  it("is another's where one of them is not there", function()
    for _, one in ipairs {
      { "object", "select Id, Name from Account", "Account.Id", missing = "Name" },
      { "object", "select Id, Name from Account", "Account.Id,Owner.Name", missing = "Name" },
      { "query", "select Id, Name, Account.Name from Invoice", "Invoice.Id,Invoice.Name", missing = "Account.Name" },
      { "query", "select Status, count(Id) from Account group by Status", "count(Account.Id)", missing = "Status" },
      { "query", "select Id, Name from Account", "error occurred", missing = "Id, Name" },
      { "object", "select Id from Account", "Account.Id", true, missing = "_zuora_deleted" },
      { "data_query", "select id, name from account", "id", missing = "name" } } do
      assert.matches("has no column " .. one.missing .. ", which was asked for", problem_of(table.unpack(one)) or "", 1, true)
    end
  end)

  it("has a name for each column", function()
    for text, words in pairs { [""] = "the file has no header", ["Id,,Name"] = "column 2 of the file has no name",
      ["Id,"] = "column 2 of the file has no name", ["\n"] = "the file has no header" } do
      assert.equal("it: " .. words, problem_of("report", "", text):gsub("^zuora: incomplete: ", ""), 1)
    end
    -- Of files that go into no table.
    local function check(text, written)
      support.write(path, text)
      return pcall(header.check, { name = "it", kind = "report" }, { query = "", kind = "full" }, path, written, false)
    end
    assert.is_true(check("Id,,Name\n", { bytes = 9 }))
    assert.is_true(check("", { bytes = 0, record_count = 0 }))
    assert.is_false(check("", { bytes = 0 }))
    assert.is_false(check("\n", { bytes = 1, record_count = 0 }))
    assert.has_error(function() columns.check("it", {}) end)
    assert.has_error(function() tables.same_header(path, { "Id", "" }) end)
  end)
end)
