local phrases = require "zuora.extract.base.phrases"

describe("zuora.extract.base.phrases", function()
  it("makes commands that a shell reads back", function()
    assert.equal("zuora extract run nightly.json --item Account --again",
      phrases.command({ file = "nightly.json" }, "run", "Account", "--again"))
    assert.equal("zuora extract reset PLAN --item 'Mike'\\''s report'", phrases.command({}, "reset", "Mike's report"))
  end)

  it("tells one from many", function()
    assert.equal("1 read, 0 rows, 2 files", table.concat({ phrases.count(1, "read"), phrases.count("0", "row"),
      phrases.count(2, "file") }, ", "))
  end)
end)
