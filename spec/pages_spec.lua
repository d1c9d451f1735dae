local pages = require "zuora.resources.pages"

-- An iterator over these pages (lists of ids); what it gives, and how often it asked.
local function walk(size, list, count)
  local asked = {}
  local given = {}
  for item in pages.each("the list", size, function(received, page)
    asked[#asked + 1] = received .. "/" .. page
    local items = {}
    for i, id in ipairs(list[page] or {}) do items[i] = { id = id } end
    return items, count
  end) do
    given[#given + 1] = item.id
  end
  return table.concat(given, " "), table.concat(asked, " ")
end

describe("zuora.resources.pages", function()
  it("gives the items of all pages in order", function()
    local given, asked = walk(2, { { "a", "b" }, { "c", "d" }, { "e" } }, 5)
    assert.equal("a b c d e", given)
    assert.equal("0/1 2/2 4/3", asked)
  end)

  it("takes an empty page for the end, and without a count nothing else", function()
    local given, asked = walk(2, { { "a", "b" }, { "c" }, {} })
    assert.equal("a b c", given)
    assert.equal("0/1 2/2 3/3", asked)
    assert.equal("", (walk(2, { {} })))
    assert.equal("", (walk(2, { {} }, 0)))
  end)

  it("goes on behind a short page, when the count says that there is more", function()
    assert.equal("a b c", (walk(2, { { "a" }, { "b", "c" }, {} }, 3)))
    local given, asked = walk(2, { { "a" }, { "b" } }, 1)
    assert.equal("a", given)
    assert.equal("0/1", asked)
  end)

  it("goes on behind a full page, whatever the count says: it may be the page's own", function()
    assert.equal("a b c", (walk(2, { { "a", "b" }, { "c" } }, 2)))
  end)

  it("gives nothing twice", function()
    assert.equal("a b c", (walk(2, { { "a", "b" }, { "b", "c" }, {} })))
    assert.equal("a b", (walk(3, { { "a", "b" }, { "a", "b" }, { "c" } })))
  end)

  it("raises when it ends before the count is reached, and when a full page comes twice", function()
    for words, list in pairs { ["ended after 2, and there should be 5"] = { { "a", "b" }, {} },
      ["gave the same page twice"] = { { "a", "b" }, { "a", "b" } } } do
      local ok, err = pcall(walk, 2, list, 5)
      assert.is_false(ok)
      assert.equal("incomplete", err.kind)
      assert.matches("the list " .. words, err.message)
    end
  end)

  it("raises the error of a page, and is over then", function()
    local problem = {}
    local iterator = pages.each("the list", 1, function(received)
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
