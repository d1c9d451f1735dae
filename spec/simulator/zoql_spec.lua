local zoql = require "zuora.simulator.zoql"

describe("simulated ZOQL", function()
  it("reads select, fields, object and conditions", function()
    assert.same({ object = "Account", fields = { "Id", "Name" }, any = {} }, zoql.parse "select Id, Name from Account")
    assert.same({ object = "Account", fields = { "*" }, any = {} }, zoql.parse "SELECT * FROM Account")
    assert.same({ object = "A", fields = { "x" }, any = {
      { { field = "x", sign = "=", value = "it's", is_text = true },
        { field = "y", sign = ">=", value = "-5.5", is_text = false } },
      { { field = "z", sign = "like", value = "a%", is_text = true } } } },
      zoql.parse "select x from A where x = 'it''s' and y >= -5.5 or z like 'a%'")
    assert.equal("", zoql.parse("select x from A where x = ''").any[1][1].value)
    assert.equal("", zoql.parse("select x from A where x != null").any[1][1].value)
  end)

  it("refuses all else", function()
    for _, bad in ipairs { "", "select", "select from A", "select x", "select x from", "select x, from A",
      "select x from A where", "select x from A where x", "select x from A where x =", "select x from A where x ~ 5",
      "select x from A where x = 'open", "select count(x) from A", "select x from A order by x",
      "select x from A where (x = 1)", "select x from A where x = 1 and", "delete from A", "select x from A; select y",
      "select x y from A" } do
      assert.is_nil(zoql.parse(bad), bad)
    end
    assert.is_nil(zoql.parse(nil))
    assert.is_nil(zoql.parse {})
  end)

  local function matches(where, row)
    return zoql.matches(zoql.parse("select x from A where " .. where).any, function(field) return row[field] or "" end)
  end

  it("compares numbers as numbers, and text as text", function()
    local row = { n = "10", s = "abc", d = "2026-03-01T00:00:00+0000" }
    for _, where in ipairs { "n > 9", "n = 10.0", "n <= 10", "s > 'abb'", "s != 'x'", "s <> 'x'", "s like 'a%'",
      "s like '_b_'", "s like 'A%C'", "d >= '2026-01-01'", "n = 1 or s = 'abc'", "e = null" } do
      assert.is_true(matches(where, row), where)
    end
    for _, where in ipairs { "n = '010'", "e < 5", "n < 9", "n = 1 and s = 'abc'", "s like 'b%'", "s like 'a.c'", "d < '2026-01-01'" } do
      assert.is_false(matches(where, row), where)
    end
  end)

  it("keeps the traps of the real thing", function()
    local row = { d = "2026-03-01T00:00:00+0000" }
    assert.is_true(matches("d >= '2027-01-01 00:00:00'", row)) -- ignored: the whole table
    assert.is_false(matches("d < '2027-01-01T00:00:00.123Z'", row)) -- no row at all
  end)
end)
