local pages = require "zuora.pages"

-- An iterator over these pages (lists of ids); what it gives, and how often it asked.
local function walk(size, list, count)
  local asked = {}
  local given = {}
  for item in pages.each(size, function(received, page)
    asked[#asked + 1] = received .. "/" .. page
    local items = { count = count }
    for i, id in ipairs(list[page] or {}) do items[i] = { id = id } end
    return items
  end) do
    given[#given + 1] = item.id
  end
  return table.concat(given, " "), table.concat(asked, " ")
end

describe("zuora.pages", function()
  it("gives the items of all pages in order", function()
    local given, asked = walk(2, { { "a", "b" }, { "c", "d" }, { "e" } })
    assert.equal("a b c d e", given)
    assert.equal("0/1 2/2 4/3", asked)
  end)

  it("asks once more after a full page, and takes an empty one for the end", function()
    local given, asked = walk(2, { { "a", "b" }, {} })
    assert.equal("a b", given)
    assert.equal("0/1 2/2", asked)
    assert.equal("", (walk(2, { {} })))
  end)

  it("goes on behind a short page that leaves some counted out", function()
    assert.equal("a b c", (walk(2, { { "a" }, { "b", "c" } }, 3)))
    assert.equal("a", (walk(2, { { "a" }, { "b" } }, 1)))
  end)

  it("gives nothing twice, and ends with a page that brings nothing new", function()
    assert.equal("a b c", (walk(2, { { "a", "b" }, { "b", "c" }, { "b", "c" }, { "d", "e" } })))
  end)

  it("raises the error of a page, and is over then", function()
    local problem = {}
    local iterator = pages.each(1, function(received)
      if received == 0 then return { { id = "a" } } end
      return nil, problem
    end)
    assert.equal("a", iterator().id)
    local ok, err = pcall(iterator)
    assert.is_false(ok)
    assert.equal(problem, err)
    assert.is_nil(iterator())
  end)
end)
