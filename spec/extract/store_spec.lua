local store = require "zuora.extract.store"

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
end)
