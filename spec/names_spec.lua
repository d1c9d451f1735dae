local names = require "zuora.support.names"
local support = require "spec.support"

describe("zuora.support.names", function()
  it("makes names that stay in their directory", function()
    for given, wanted in pairs {
      ["Account.csv"] = "Account.csv", ["../../etc/passwd"] = "_.._etc_passwd", ["/abs"] = "_abs", [".hidden"] = "hidden",
      ["a\nb\0c\127"] = "a_b_c_", ["C:\\x"] = "C__x", ["a/b\\c"] = "a_b_c", [" x. "] = "x", ["..."] = "f", [""] = "f",
      ["Ærø.csv"] = "Ærø.csv", ["a\194\155b"] = "a_b",
      ["a\194\226\128\174\155b"] = "a_____b", ["a\226\226\128\142\128\142b"] = "a______b", ["\198r.csv"] = "_r.csv",
      ["a\226\128\174gpj.exe"] = "agpj.exe", ["x.csv.part"] = "x.csv.part_", ["x.PART.state"] = "x.PART.state_", ['q"<>|*?'] = "q______",
    } do
      assert.equal(wanted, names.safe(given, "f"), given)
    end
    local long = names.safe(("é"):rep(99), "f")
    assert.is_true(#long <= 100)
    assert.is_truthy(utf8.len(long))
    assert.equal(100, #names.safe(("x"):rep(300), "f"))
  end)

  it("numbers twins, whatever their case", function()
    assert.same({ "a.csv", "A-2.csv", "a-2-2.csv", "b.csv" }, names.unique({ "a", "A", "a-2", "b" }, ".csv"))
    assert.same({ "a", "a-2", "a-3", "a-3-2", "A-4" }, names.unique({ "a", "a", "a", "a-3", "A" }, ""))
  end)

  it("numbers twins with work that grows with their number", function()
    local function twins(count)
      local list = {}
      for i = 1, count do list[i] = "Account" end
      return list
    end
    support.assert_linear(function(list) names.unique(list, ".csv") end, twins, 30000)
  end)

  it("reads Content-Disposition in both forms", function()
    for header, wanted in pairs {
      ["attachment; filename=Account.csv"] = "Account.csv",
      ['attachment; filename="a;b \\"c\\".csv"'] = 'a;b "c".csv',
      ["attachment; filename*=UTF-8''%C3%86r%C3%B8.csv"] = "Ærø.csv",
      ["attachment; filename=\"plain.csv\"; filename*=utf-8'en'%C3%86.csv"] = "Æ.csv",
      ["attachment; filename*=UTF-8''%C3%86.csv; filename=\"plain.csv\""] = "Æ.csv",
      ["attachment; filename*=ISO-8859-1''%C6.csv"] = "Æ.csv",
      ["attachment; filename*=UTF-8''%FF.csv; filename=ok.csv"] = "ok.csv",
      ["attachment; filename=a%20b.csv"] = "a b.csv",
      ["attachment;filename = \"x.csv\" ; size=3"] = "x.csv",
      ["ATTACHMENT; FILENAME=X.csv"] = "X.csv",
      ["attachment; foo; filename=x.csv"] = "x.csv",
      ['attachment; filename="unclosed'] = "unclosed",
    } do
      assert.equal(wanted, names.of_disposition(header), header)
    end
    for _, header in ipairs { "attachment", "inline;", 'attachment; filename=""', ";;;", "filename=x" } do
      assert.is_nil(names.of_disposition(header), header)
    end
    assert.is_nil(names.of_disposition(nil))
  end)

  it("reads it with work that grows with its length", function()
    for _, make in ipairs { function(count) return 'x; filename=a' .. (" "):rep(count) .. "b" end,
      function(count) return "x; filename=" .. (" "):rep(count) end, function(count) return "x; " .. ("a "):rep(count) end,
      function(count) return "x" .. (";"):rep(count) end, function(count) return "x" .. ("; f=a "):rep(count) end } do
      support.assert_linear(names.of_disposition, make, 100000)
    end
    assert.equal("a  b", names.of_disposition "x; filename= a  b  ; y=z")
    assert.equal("c", names.of_disposition "x; filename=c")
    assert.is_nil(names.of_disposition "x; filename=; y=z")
  end)

  it("knows endings by content type", function()
    assert.equal(".csv", names.ending "text/csv;charset=UTF-8")
    assert.equal(".zip", names.ending "application/zip; charset=UTF-8")
    assert.equal("", names.ending "")
  end)
end)
