-- Packed files, to the letter of RFC 1952 and however they are cut: by zlib, or by ISA-L where that is.

local core = require "zuora.core"
local support = require "spec.support"

local PATH = "build/spec/packed.csv.gz"

local function crc32(text)
  local sum = 0xffffffff
  for i = 1, #text do
    sum = sum ~ text:byte(i)
    for _ = 1, 8 do sum = sum >> 1 ~ (sum & 1) * 0xedb88320 end
  end
  return sum ~ 0xffffffff
end

-- A member whose text is not compressed. `fields` of the header: extra, name, comment, sum = true or a number;
-- flags and method.
local function member(text, fields)
  fields = fields or {}
  local flags = (fields.sum and 2 or 0) + (fields.extra and 4 or 0) + (fields.name and 8 or 0) + (fields.comment and 16 or 0)
  local head = ("\31\139%c%c\0\0\0\0\0\255"):format(fields.method or 8, flags | (fields.flags or 0))
  if fields.extra then head = head .. ("<s2"):pack(fields.extra) end
  if fields.name then head = head .. fields.name .. "\0" end
  if fields.comment then head = head .. fields.comment .. "\0" end
  if fields.sum then head = head .. ("<I2"):pack(fields.sum == true and crc32(head) & 0xffff or fields.sum) end
  return head .. ("\1" .. ("<I2I2"):pack(#text, ~#text & 0xffff)) .. text
    .. ("<I4I4"):pack(fields.crc or crc32(text), fields.size or #text)
end

-- The cells of its rows, and what is wrong with it.
local function read(bytes, chunk)
  support.write(PATH, bytes)
  local cells = {}
  local ok, problem = pcall(function()
    for row in core.rows(PATH, { form = "array", chunk = chunk, fail = function(message) error(message, 0) end }) do
      cells[#cells + 1] = row[1]
    end
  end)
  return table.concat(cells, " "), not ok and problem or nil
end

local function assert_read(cells, problem, bytes)
  for _, chunk in ipairs { 1, 7, #bytes + 1 } do
    local found, said = read(bytes, chunk)
    assert.equal(problem, said)
    if cells then assert.equal(cells, found) end
  end
end

local DAMAGED, SHORT = "the gzip data is damaged", "the gzip data ends too early"
local PLAIN = member "a\n1\n2\n"

describe("gzip", function()
  it("may have a header of any fields", function()
    for bits = 0, 15 do
      for _, extra in ipairs { "", "x", ("\0abc"):rep(100) } do
        local packed = member("a\n1\n2\n", { extra = bits & 1 > 0 and extra, name = bits & 2 > 0 and "a.csv",
          comment = bits & 4 > 0 and "", sum = bits & 8 > 0 })
        assert_read("1 2", nil, packed)
        assert.equal("a\n1\n2\n", core.gunzip(packed, 100))
      end
    end
  end)

  it("has no flags that nobody knows, no other method, and the right sums", function()
    for _, fields in ipairs { { flags = 0x20 }, { flags = 0x40 }, { flags = 0x80 }, { method = 7 }, { sum = 1 } } do
      assert_read(nil, DAMAGED, member "" .. member("a\n1\n", fields))
    end
    assert_read(nil, DAMAGED, member("a\n1\n", { crc = 1 }))
    assert_read(nil, DAMAGED, member("a\n1\n", { size = 5 }))
  end)

  it("is of one member, or of more", function()
    assert_read("1 2 3", nil, PLAIN .. member "3\n")
    assert_read("1 2 3", nil, PLAIN .. member("", { name = "x" }) .. member "3\n" .. member "")
    assert_read("12 3", nil, member "a\n1" .. member "2\n3")
  end)

  it("is all there", function()
    local two = PLAIN .. member("3\n", { extra = "abc", name = "x", comment = "y", sum = true })
    for length = 4, #two - 1 do
      assert_read(nil, length ~= #PLAIN and SHORT or nil, two:sub(1, length))
    end
  end)

  it("is followed by nothing else", function()
    for _, rest in ipairs { "ab", "\0\0", "\31\31", "\31\139\9\0", "\31\139\8\224", "something else" } do
      assert_read(nil, DAMAGED, PLAIN .. rest)
    end
    -- As with zlib: one byte may be half a magic number.
    for _, rest in ipairs { "a", "\0", "\31", "\31\139", "\31\139\8" } do assert_read(nil, SHORT, PLAIN .. rest) end
  end)
end)
