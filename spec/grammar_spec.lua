-- One grammar of delimited text: rows, what counts records, and what writes them anew give the same answer
-- to every input, strict or not, however it is cut into pieces.

local core = require "zuora.core"
local support = require "spec.support"

local PATH, WRITTEN = "build/spec/grammar.csv", "build/spec/grammar-written.csv"
local LONG = ("x"):rep(150)

-- name = { text, rows, or what is wrong with it; rows when it is not strict, if these are others }. The first
-- row is the header. What csv-spectrum and its like have, and what these readers once disagreed about.
local CASES = {
  ["commas in quotes"] = { 'first,last\nJohn,"a, b"\n', { { "first", "last" }, { "John", "a, b" } } },
  ["empty cells"] = { 'a,b,c\n1,"",""\n2,,4\n,,\n',
    { { "a", "b", "c" }, { "1", "", "" }, { "2", "", "4" }, { "", "", "" } } },
  ["CRLF"] = { 'a,b,c\r\n1,"",""\r\n2,3,4\r\n', { { "a", "b", "c" }, { "1", "", "" }, { "2", "3", "4" } } },
  ["escaped quotes"] = { 'a,b\n1,"ha ""ha"" ha"\n3,""""\n', { { "a", "b" }, { "1", 'ha "ha" ha' }, { "3", '"' } } },
  ["JSON in a cell"] = { 'key,val\n1,"{""type"": ""Point"", ""at"": [1, 2]}"\n',
    { { "key", "val" }, { "1", '{"type": "Point", "at": [1, 2]}' } } },
  ["newlines"] = { 'a,b\n"one\ntwo","x\n\n"\n', { { "a", "b" }, { "one\ntwo", "x\n\n" } } },
  ["newlines, CRLF"] = { 'a,b\r\n"one\r\ntwo",x\r\n', { { "a", "b" }, { "one\r\ntwo", "x" } } },
  ["quotes and newlines"] = { 'a,b\n1,"ha \n""ha"" \nha"\n3,4\n',
    { { "a", "b" }, { "1", 'ha \n"ha" \nha' }, { "3", "4" } } },
  ["plain"] = { "a,b,c\n1,2,3\n", { { "a", "b", "c" }, { "1", "2", "3" } } },
  ["no last newline"] = { "a,b,c\n1,2,3", { { "a", "b", "c" }, { "1", "2", "3" } } },
  ["no last newline behind a quote"] = { 'a,b\n1,"2"', { { "a", "b" }, { "1", "2" } } },
  ["an empty last cell"] = { "a,b\n1,", { { "a", "b" }, { "1", "" } } },
  ["UTF-8"] = { "a,b,c\n1,ʤ,日本\n", { { "a", "b", "c" }, { "1", "ʤ", "日本" } } },
  ["quotes within a bare cell"] = { 'a,b\n5" pipe,x"y"\n', { { "a", "b" }, { '5" pipe', 'x"y"' } } },
  ["blanks"] = { "a,b\n 1 , 2\n", { { "a", "b" }, { " 1 ", " 2" } } },
  ["a blank before a quote"] = { 'a,b\n1, "x"\n', { { "a", "b" }, { "1", ' "x"' } } },
  ["tabs"] = { 'a\tb,c\td\n1\t"x\ty"\t3\n', { { "a", "b,c", "d" }, { "1", "x\ty", "3" } } },
  ["commas in cells between tabs"] = { "a\tb\n1,5\t2\n", { { "a", "b" }, { "1,5", "2" } } },
  ["a lone carriage return"] = { "a,b\nx\ry,2\n", { { "a", "b" }, { "x\ry", "2" } } },
  ["a carriage return at the end"] = { "a,b\n1,2\r", { { "a", "b" }, { "1", "2\r" } } },
  ["carriage returns in a row"] = { "a,b\n1,2\r\r\n3,\r\n", { { "a", "b" }, { "1", "2\r" }, { "3", "" } } },
  ["empty lines"] = { "a,b\n\n1,2\n\r\n3,4\n\n", { { "a", "b" }, { "1", "2" }, { "3", "4" } } },
  ["one column, empty cells"] = { "a\n1\n\n2\n", { { "a" }, { "1" }, { "" }, { "2" } } },
  ["one column, an empty quoted cell"] = { 'a\n""\n1\n', { { "a" }, { "" }, { "1" } } },
  ["one column, an empty quoted cell at the end"] = { 'a\n1\n""', { { "a" }, { "1" }, { "" } } },
  ["a header alone"] = { "a,b\n", { { "a", "b" } } },
  ["a header without a newline"] = { "a,b", { { "a", "b" } } },
  ["a header without a name"] = { "\n1\n", { { "" }, { "1" } } },
  ["nothing"] = { "", {} },
  ["a byte order mark"] = { "\239\187\191a,b\n1,2\n", { { "a", "b" }, { "1", "2" } } },
  ["a second byte order mark"] = { "\239\187\191\239\187\191a,b\n1,2\n", { { "\u{FEFF}a", "b" }, { "1", "2" } } },
  ["tabs, a newline in the header"] = { '"a\nb"\tc\n1\t2\n', { { "a\nb", "c" }, { "1", "2" } } },
  ["tabs, a quote in the header"] = { 'a"\tb\n1\t2\n', { { 'a"', "b" }, { "1", "2" } } },
  ["two quotes in a bare header"] = { 'a""b,c\n1,2\n', { { 'a""b', "c" }, { "1", "2" } } },
  ["commas and tabs in a quoted header"] = { '"a\tb\t""c""\t",d\n1,2\n', { { 'a\tb\t"c"\t', "d" }, { "1", "2" } } },
  ["a quoted header"] = { '"a ""x""","b\nc"\n1,2\n', { { 'a "x"', "b\nc" }, { "1", "2" } } },
  ["a tab in a bare header"] = { "a\tb,c,d\n1,2,3\n", { { "a\tb", "c", "d" }, { "1", "2", "3" } } },
  ["more tabs than commas in a quoted header"] = { '"a\tb\tc",d\n1,2\n', { { "a\tb\tc", "d" }, { "1", "2" } } },
  ["cells longer than a block"] = { ('%s,"%s""%s",é\n%s,"%s\n%s",%s\n'):format(LONG, LONG, LONG, LONG, LONG, LONG, LONG),
    { { LONG, LONG .. '"' .. LONG, "é" }, { LONG, LONG .. "\n" .. LONG, LONG } } },

  ["something behind a quote"] = { 'a,b\n1,"x"y\n', "row 1, byte 10: something stands",
    { { "a", "b" }, { "1", '"x"y' } } },
  ["a row behind something behind a quote"] = { 'a,b\n"a"b,2\n3,4\n', "row 1, byte 8: something stands",
    { { "a", "b" }, { '"a"b', "2" }, { "3", "4" } } },
  ["something behind doubled quotes"] = { 'a,b\n1,"x""y"z""\n', "row 1, byte 13: something stands",
    { { "a", "b" }, { "1", '"x""y"z""' } } },
  ["a comma in quotes with something behind"] = { 'a,b\n"x,y"z,w\n', "row 1, byte 10: something stands",
    { { "a", "b" }, { '"x,y"z', "w" } } },
  ["a lone carriage return behind a quote"] = { 'a,b\n1,"x"\r2\n3,4\n', "row 1, byte 10: something stands",
    { { "a", "b" }, { "1", '"x"\r2' }, { "3", "4" } } },
  ["a carriage return behind a quote at the end"] = { 'a,b\n1,"x"\r', "row 1, byte 10: something stands",
    { { "a", "b" }, { "1", '"x"\r' } } },
  ["an open quote"] = { 'a,b\n1,2\n3,"x\n4,5\n', "row 2, byte 11: a quote is opened",
    { { "a", "b" }, { "1", "2" }, { "3", '"x\n4,5\n' } } },
  ["an open quote behind doubled ones"] = { 'a,b\n1,"x""', "row 1, byte 7: a quote is opened",
    { { "a", "b" }, { "1", '"x""' } } },
  ["a quote alone at the end"] = { 'a,b\n1,"', "row 1, byte 7: a quote is opened", { { "a", "b" }, { "1", '"' } } },
  ["an open quote in the header"] = { 'a,"b\n1,2\n', "row 0, byte 3: a quote is opened", { { "a", '"b\n1,2\n' } } },
  ["something behind a quote in the header"] = { '"a"b,c\n1,2\n', "row 0, byte 4: something stands",
    { { '"a"b', "c" }, { "1", "2" } } },
  ["a short row"] = { "a,b\n1,2\n3\n4,5\n", "row 2, byte 9: the row has 1 cells, the header has 2",
    { { "a", "b" }, { "1", "2" }, { "3", "" }, { "4", "5" } } },
  ["a row of one empty quoted cell"] = { 'a,b\n""\n', "row 1, byte 5: the row has 1 cells, the header has 2",
    { { "a", "b" }, { "", "" } } },
  ["a long row"] = { "a,b\n1,2,3\n4,5\n", "row 1, byte 5: the row has 3 cells, the header has 2",
    { { "a", "b" }, { "1", "2" }, { "4", "5" } } },
  ["a blank in an empty line"] = { "a,b\n \n", "row 1, byte 5: the row has 1 cells, the header has 2",
    { { "a", "b" }, { " ", "" } } },
  ["a NUL byte"] = { "a,b\n1,x\0y\n", "row 1, byte 8: a NUL byte", { { "a", "b" }, { "1", "x\0y" } } },
  ["bad UTF-8"] = { "a,b\n1,x\255y\n", "row 1, byte 8: bytes that are no UTF-8",
    { { "a", "b" }, { "1", "x\u{FFFD}y" } } },
  ["a surrogate in UTF-8"] = { "a,b\n1,\237\160\128\n", "row 1, byte 7: bytes that are no UTF-8",
    { { "a", "b" }, { "1", "\u{FFFD}" } } },
  ["bad UTF-8 among quotes"] = { 'a,b\n1,"x\255\128""y"\n', "row 1, byte 9: bytes that are no UTF-8",
    { { "a", "b" }, { "1", 'x\u{FFFD}"y' } } },
  ["bad UTF-8 in the header"] = { "a\255,b\n1,2\n", "row 0, byte 2: bytes that are no UTF-8",
    { { "a\u{FFFD}", "b" }, { "1", "2" } } },
  ["half a character at the end of the text"] = { "a,b\n1,x\xe6\x97", "row 1, byte 8: bytes that are no UTF-8",
    { { "a", "b" }, { "1", "x\u{FFFD}" } } },
  ["a name twice"] = { 'a,b,"a"\n1,2,3\n', "row 0, byte 6: the header names the column a twice",
    { { "a", "b", "a" }, { "1", "2", "3" } } },
  ["a name twice, once in quotes"] = { 'x"y,"x""y"\n1,2\n', 'row 0, byte 6: the header names the column x"y twice',
    { { 'x"y', 'x"y' }, { "1", "2" } } },
}

local UTF16 = {
  ["a mark"] = { "\255\254a\0,\0b\0\n\0", { { "a", "b" } } },
  ["no mark"] = { "a\0,\0b\0\n\0001\0,\0\233\0", { { "a", "b" }, { "1", "é" } } },
  ["an odd byte at the end"] = { "a\0,\0b\0\n\0001\0,\0002\0\n\0x", "row 2, byte 9: half a UTF-16 character at the end",
    { { "a", "b" }, { "1", "2" }, { "\u{FFFD}", "" } } },
  ["half a pair at the end"] = { "a\0,\0b\0\n\0001\0,\0\0\216", "row 1, byte 7: half a pair of UTF-16 surrogates",
    { { "a", "b" }, { "1", "\u{FFFD}" } } },
  ["half a pair within"] = { "a\0,\0b\0\n\0001\0,\0002\0\n\0003\0,\0\0\216x\0\n\0",
    "row 2, byte 11: half a pair of UTF-16 surrogates", { { "a", "b" }, { "1", "2" }, { "3", "\u{FFFD}x" } } },
  ["the other half of a pair"] = { "a\0,\0b\0\n\0\0\220,\0002\0\n\0", "row 1, byte 5: half a pair of UTF-16 surrogates",
    { { "a", "b" }, { "\u{FFFD}", "2" } } },
}

describe("the grammar of delimited text", function()
  local sim, session

  setup(function()
    sim = support.simulator()
    session = core.session {}
  end)
  teardown(function()
    session:close()
    sim:stop()
  end)

  local function raise(message, row, byte) error(("row %d, byte %d: %s"):format(row, byte, message), 0) end

  -- All rows with the header; on a failure the message, and what came before.
  local function rows_of(path, options)
    options.form, options.fail = "array", raise
    local seen = {}
    local ok, message = pcall(function()
      local it <close> = core.rows(path, options)
      if #it.columns > 0 then seen[1] = it.columns end
      for row in it do seen[#seen + 1] = row end
      assert(#seen == 0 or it.row == #seen - 1)
    end)
    return ok and seen or message, seen
  end

  -- What a filter makes of the text as a server sends it: what it counts, or says; and the file. In chunks, each
  -- of which libcurl hands on by itself.
  local function filtered(text, content_type, options, size)
    local chunks = {}
    for at = 1, #text, size do
      local chunk = text:sub(at, at + size - 1)
      chunks[#chunks + 1] = ("%x\r\n%s\r\n"):format(#chunk, chunk)
    end
    sim:fault { kind = "garbage", raw = "HTTP/1.1 200 OK\r\nContent-Type: " .. content_type
      .. "\r\nTransfer-Encoding: chunked\r\n\r\n" .. table.concat(chunks) .. "0\r\n\r\n" }
    local filter = core.filter(options)
    local sink <close> = assert(core.sink { path = WRITTEN, filter = filter })
    assert(support.finish(session, session:start { url = sim.url .. "/x", sink = sink }))
    assert(sink:publish())
    local count, problem, row, byte = filter:records()
    return count or ("row %d, byte %d: %s"):format(row, byte, problem)
  end

  -- Names that stand twice, and NUL bytes, have no spelling that strict would take.
  local function needs_indulgence(list)
    local names = {}
    for i, row in ipairs(list) do
      for _, cell in ipairs(row) do
        if cell:find "\0" or i == 1 and names[cell] then return true end
        names[cell] = true
      end
    end
    return false
  end

  -- All of them give the same answer: it is returned.
  local function answer(text, strict, charset)
    support.write(PATH, text)
    local about = ("%q, strict = %s"):format(text, strict)
    local wanted, before = rows_of(PATH, { strict = strict, charset = charset })
    for _, chunk in ipairs { 1, 2, 3, 7, 64 } do
      local found, so_far = rows_of(PATH, { strict = strict, charset = charset, chunk = chunk })
      assert.same(wanted, found, about)
      assert.same(before, so_far, about)
    end
    local failed = type(wanted) == "string"
    local count = failed and wanted or math.max(#wanted - 1, 0)
    local content_type = "text/csv" .. (charset and "; charset=" .. charset or "")
    for _, size in ipairs { #text + 1, 1 } do
      assert.equal(count, filtered(text, content_type, { strict = strict }, size), about)
      assert.equal(text, support.read(WRITTEN), about)
      assert.equal(count, filtered(text, content_type, { strict = strict, rewrite = true }, size), about)
      -- What was written anew needs no more indulgence, but for what has no better spelling.
      if not failed then
        assert.same(wanted, (rows_of(WRITTEN, { strict = not needs_indulgence(wanted), charset = "utf-8" })), about)
      end
    end
    return wanted
  end

  local function check(case, charset)
    local strict, lenient = answer(case[1], true, charset), answer(case[1], false, charset)
    if type(case[2]) == "string" then
      assert.equal("string", type(strict), case[1])
      assert.equal(case[2], strict:sub(1, #case[2]))
      assert.same(case[3], lenient)
    else
      assert.same(case[2], strict)
      assert.same(case[2], lenient)
    end
  end

  for name, case in pairs(CASES) do
    it("is one for " .. name, function() check(case) end)
  end

  for name, case in pairs(UTF16) do
    it("is one for UTF-16 with " .. name, function() check(case, "utf-16") end)
  end

  it("is one for any text", function()
    local state = 7
    local function pick(n)
      state = (state * 1103515245 + 12345) % 2147483648
      return (state >> 8) % n + 1
    end
    local alphabet = { '"', '"', '""', ",", ",", "\t", "\n", "\n", "\r\n", "\r", "a", "b", "é", "\255", "\0", " ", LONG }
    local heads = { "a,b\n", "a\tb\n", 'a,"b"\r\n', "a\n", "" }
    for _ = 1, 60 do
      local parts = { heads[pick(#heads)] }
      for i = 2, pick(14) do parts[i] = alphabet[pick(#alphabet)] end
      local text = table.concat(parts)
      answer(text, true, "utf-8")
      answer(text, false, "utf-8")
    end
  end)

  it("is one for UTF-8, wherever in a block of bytes a character stands", function()
    local first = "\x80\xc1\xc2\xdf\xe0\xe1\xed\xef\xf0\xf1\xf4\xf5\xff"
    local function text_of(byte, place)
      local parts = {}
      for second in ("x\x80\x8f\x90\x9f\xa0\xbf\xc0"):gmatch "." do
        for rest in ("xx \x80x \xbf\x80 \x80\xc2 \x80\xbf\x80"):gmatch "%S+" do parts[#parts + 1] = byte .. second .. rest end
      end
      for _, part in ipairs(parts) do
        local text = ("x"):rep(place) .. part .. ("x"):rep(100)
        support.write(PATH, "a\n" .. text .. "\n")
        local sound, row = pcall(core.rows(PATH, { form = "array", fail = function(message) error(message, 0) end }))
        local good = utf8.len(text) ~= nil
        assert.equal(good, sound, ("%q at %d: %s"):format(part, place, row))
        assert.equal(good and text or "bytes that are no UTF-8", good and row[1] or row)
      end
    end
    for byte in first:gmatch "." do
      for _, place in ipairs { 0, 30, 31, 61, 63 } do text_of(byte, place) end
    end
  end)

  it("has an empty cell that stands alone in quotes, for readers that leave out empty lines", function()
    answer("a\n\n1\n", true)
    assert.equal('a\n""\n1\n', support.read(WRITTEN))
    answer("\n1\n", true)
    assert.equal('""\n1\n', support.read(WRITTEN))
  end)

  it("takes for UTF-8 what has no NUL where UTF-16 must have one, whatever it is called", function()
    for _, charset in ipairs { "utf-16", "UTF-16LE", "utf-16be" } do
      for _, text in ipairs { "a,b\n1,é\n", "\239\187\191a,b\n1,é\n", "a,b\n1,é\n" .. ("2,3\n"):rep(5000) } do
        local seen = answer(text, true, charset)
        assert.same({ "a", "b" }, seen[1])
        assert.same({ "1", "é" }, seen[2])
      end
    end
    -- The first character's first byte is that of a newline.
    assert.same({ { "上", "b" } }, answer("\x0a\x4e,\0b\0\n\0", true, "utf-16"))
  end)
end)
