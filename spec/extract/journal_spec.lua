-- The store, the journal, and the marks (in a table, and of a run): every change is a compare-and-set.

local journal = require "zuora.extract.journal"
local marks = require "zuora.extract.marks"
local reads = require "zuora.extract.base.reads"
local store = require "zuora.extract.base.store"
local support = require "spec.support"

describe("the journal", function()
  local path = support.scratch "journal" .. ".db"
  local of = { plan = "p", item = "Account", entity = "" }
  local book

  before_each(function()
    support.shell("rm -f " .. path .. "*")
    book = journal.open(path, "me")
  end)
  after_each(function() book:close() end)

  local function planned(fields)
    local read = reads.new(of, fields or { kind = "full", read_to = "b" })
    read.query = "select 1"
    return book:plan(read)
  end

  local function fails(kind, f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    assert.equal(kind, err.kind)
    return err
  end

  it("has one open read for each item", function()
    local first = planned()
    fails("file", planned, { kind = "full", read_to = "c" })
    book:move(first, "done")
    planned { kind = "full", read_to = "c" }
  end)

  it("changes a read only for who has it, in the state that it is in", function()
    local read = planned()
    local copy = book:find(read)
    book:move(read, "submitted", { job_id = "j", attempt = 2 })
    assert.equal(2, read.attempt)
    fails("busy", book.move, book, copy, "completed")
    assert.equal("submitted", book:find(read).state)
    local other = book:open_of(of)[1]
    book.owner = "somebody else"
    assert.equal(1, #book:open_reads(of)) -- taken over
    book.owner = "me"
    fails("busy", book.move, book, other, "completed")
  end)

  it("does all of a transaction, or nothing", function()
    local read = planned()
    fails("plan", book.transaction, book, function()
      book:move(read, "submitted")
      error(require "zuora.error".new { kind = "plan", message = "x" }, 0)
    end)
    assert.equal("planned", book:find(read).state)
  end)

  it("sets a mark from what it was", function()
    local with = { mark = "a", hash = "h", columns = "[]", tenant = "t" }
    book:set_mark(of, nil, with)
    fails("busy", book.set_mark, book, of, nil, with)
    fails("busy", book.set_mark, book, of, "x", with)
    with.mark = "b"
    book:set_mark(of, "a", with)
    assert.equal("b", book:mark(of).mark)
    assert.is_true(book:reset(of, "a"))
    assert.same({ "a", "1", "1" }, { book:mark(of).mark, book:mark(of).pending, book:mark(of).resets })
    book:set_mark(of, "a", with)
    assert.equal("", book:mark(of).pending)
  end)

  it("moves no mark back, and a lookback moves none", function()
    local with = { hash = "h", columns = "[]", tenant = "t", looked_back = "c" }
    marks.advance(book, of, reads.new(of, { kind = "full", read_to = "b" }), with)
    marks.advance(book, of, reads.new(of, { kind = "window", read_to = "a" }), with)
    assert.equal("b", book:mark(of).mark)
    assert.equal("", book:mark(of).looked_back)
    marks.advance(book, of, reads.new(of, { kind = "lookback", read_to = "b" }), with)
    assert.same({ "b", "c" }, { book:mark(of).mark, book:mark(of).looked_back })
  end)

  it("keeps text as it is, whatever is in it", function()
    local read = planned()
    local awkward = "'; drop table zuora_read; -- \" ? $1 \\ 日本\n"
    book:move(read, "failed", { error = awkward })
    assert.equal(awkward, book:find(read).error)
    book:event("p", "Account", awkward, awkward)
    assert.equal(awkward, book:events "p"[1].detail)
  end)

  it("belongs to one plan, one tenant and one version", function()
    book:belong_to("p", "t")
    book:belong_to("p", "t")
    fails("plan", book.belong_to, book, "q", "t")
    fails("plan", book.belong_to, book, "p", "u")
    book.store:run "UPDATE zuora_store SET value = '99' WHERE name = 'version'"
    local err = fails("plan", journal.open, path)
    assert.matches("another version", err.message)
  end)

  it("keeps its locks while this process looks at it, too", function()
    planned()
    journal.open(path):close()
    local text = support.lua(([[local s = require "zuora.extract.base.store".open %q
      print(pcall(s.row, s, "PRAGMA journal_mode = DELETE"))]]):format(path))
    assert.matches("^false.*database is locked", text)
  end)

  it("is held by one process at a time", function()
    fails("busy", journal.open, path, "you")
    local reader <close> = journal.open(path)
    assert.same({}, reader:events "p")
    book:close()
    book = journal.open(path, "you")
  end)

  it("syncs once for all that was written before, and no more at all for nothing", function()
    local disk = require "zuora.extract.base.disk"
    local sync, count = disk.sync, 0
    disk.sync = function(...)
      count = count + 1
      return sync(...)
    end
    local read = planned()
    book:move(read, "submitted")
    assert.equal(0, count)
    local function others() -- one of them comes later than the other's sync
      if count == 0 then book:sync() end
    end
    book:sync(others)
    book:sync(others)
    assert.equal(1, count)
    book:move(read, "completed")
    book:close()
    disk.sync = sync
    assert.equal(2, count)
  end)

  it("keeps a statement that has failed for no second use", function()
    local first = planned()
    fails("file", planned)
    fails("file", planned)
    planned { kind = "full", read_to = "c", piece = "", generation = 0, parent = "x" }
    assert.equal(2, #book:open_of(of))
    assert.equal(first.read_to, book:open_of(of)[1].read_to)
  end)

  it("raises what the database says", function()
    local broken = path .. ".broken"
    support.write(broken, ("no database "):rep(100))
    fails("file", journal.open, broken)
    local one <close> = store.open(path .. ".other")
    assert.matches("syntax", fails("file", one.run, one, "nonsense").message)
    fails("file", store.open, "build/spec/nonesuch/x.db")
  end)
end)
