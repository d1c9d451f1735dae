local extract = require "zuora.extract"
local store = require "zuora.extract.base.store"
local support = require "spec.support"
local world = require "spec.extract.world"

describe("a store", function()
  it("compares each row with what was asked for, whatever the collector takes between two rows", function()
    local database <close> = store.open ":memory:"
    database:run "CREATE TABLE cell (value TEXT)"
    for _ = 1, 100 do database:run("INSERT INTO cell VALUES (?)", "2000000000") end
    local count, others = 0, {}
    database:each(function()
      count = count + 1
      collectgarbage()
      for _ = 1, 100 do others[#others + 1] = ("%010d"):format(3000000000 + #others) end
    end, "SELECT value FROM cell WHERE value > ?", 1000000000)
    assert.equal(100, count)
  end)

  it("that is damaged, or is none, names its cure, which mends it", function()
    local here <close> = world.new { name = "store" }
    local more = { load = { to = "sqlite:" .. here.folder .. "/dw.db" } }
    here:good(nil, nil, more)
    for name, cure in pairs { ["out/.zuora.db"] = "remove it and .*/out/.zuora.db%-wal; the next run finds all again",
      ["out/.zuora.db.lock"] = "remove it; there is nothing in it", ["dw.db"] = "or remove it; the next run loads" } do
      local path = here.folder .. "/" .. name
      local head = support.read(path):sub(1, 100)
      for _, harm in ipairs { ("x"):rep(1000), head .. ("x"):rep(8192 - #head) } do
        support.write(path, harm)
        for _ = 1, 2 do
          local _, err = here:run(here:plan(nil, more))
          assert.same({ "file", false }, { err.kind, err.retryable })
          assert.matches(cure, err.message)
        end
        support.shell(("rm -f '%s' '%s-wal'"):format(path, path))
        here.sim:forward(3600)
        here:good(nil, nil, more)
        local target <close> = store.open(here.folder .. "/dw.db")
        assert.equal("20", target:row 'SELECT CAST(count(*) AS TEXT) AS n FROM "Thing"'.n)
        assert.same({}, assert(extract.verify(here.folder .. "/out")).problems)
      end
    end
  end)
end)
