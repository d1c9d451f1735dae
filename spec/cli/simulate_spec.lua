local core = require "zuora.core"
local program = require "spec.cli.program"
local support = require "spec.support"

describe("zuora simulate", function()
  local dir

  setup(function()
    dir = support.scratch "cli-simulate"
    assert(os.execute(("mkdir %s/objects %s/reports"):format(dir, dir)))
    support.write(dir .. "/objects/Thing.csv", "Id,Name\n1,one\n")
    support.write(dir .. "/reports/" .. ("a"):rep(32) .. ".csv", "A,B\n1,2\n")
  end)

  -- Starts one, does what the lines say, and ends it as Ctrl-C does (or by another signal).
  local function beside(words, lines, signal)
    return program.shell(([[
      mkfifo %s/told && trap 'rm -f %s/told' EXIT
      $zuora simulate %s > %s/told & simulator=$!
      while read -r line; do eval "$line"; case $line in *SECRET*) break;; esac; done < %s/told
      %s
      kill -%s $simulator; wait $simulator; echo "ended with $?"]]):format(dir, dir, words, dir, dir, lines, signal or "INT"))
  end

  it("serves what it is given, until Ctrl-C", function()
    local result = beside(("--objects %s/objects --reports %s/reports --seconds 0.01"):format(dir, dir), [[
      $zuora query run 'select Name from Thing' --poll 0.01 --quiet
      $zuora report run aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --poll 0.01 --quiet]])
    assert.equal("Name\none\nA,B\n1,2\nended with 0\n", result.out, result.err)
    assert.matches("http://127.0.0.1:%d+ until Ctrl%-C\n", result.err)
  end)

  it("ends as well when it is terminated", function()
    assert.equal("ended with 0\n", beside("", "", "TERM").out)
  end)

  it("takes any setting by file", function()
    support.write(dir .. "/settings.json", core.encode { client_secret = "another's one", looks = 0 })
    local result = beside(("--settings %s/settings.json"):format(dir), [[echo "$ZUORA_CLIENT_SECRET"
      $zuora describe --format csv | head -n 2]])
    assert.equal("another's one\nname,label\nAccount,Account\nended with 0\n", result.out, result.err)
  end)

  it("says what it cannot serve", function()
    local taken <close> = support.simulator()
    support.write(dir .. "/wrong.json", '{"nonsense":1}')
    for words, problem in pairs { ["--objects " .. dir] = " has no file whose name ends with .csv",
      ["--objects " .. dir .. "/none"] = "/none cannot be read", ["--settings /none"] = "/none: No such file",
      ["--settings " .. dir .. "/wrong.json"] = "zuora: the simulator has no setting 'nonsense'\n",
      ["--port " .. taken.url:match "%d+$"] = "zuora: address already in use\n",
      ["--port 65536"] = "'65536' is no port: 1 to 65535" } do
      local result = program.run("simulate " .. words)
      assert.equal(2, result.code, words)
      assert.matches(problem, result.err, 1, true)
      assert.equal("", result.out)
    end
    assert.equal(1, program.shell("$zuora simulate > /dev/full").code)
  end)
end)
