local put = require "zuora.cli.put"
local support = require "spec.support"

describe("put", function()
  it("has text go out at once", function()
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "wb"))
    assert.is_true(put(file, "a"))
    assert.equal("a", support.read(path))
    os.remove(path)
  end)

  it("says why it does not, and whether that is because nobody reads on", function()
    local full <close> = assert(io.open("/dev/full", "wb"))
    assert.same({ nil, "No space left on device", false }, { put(full, "a") })
    local told = support.shell [[trap '' PIPE; { sleep 0.1; lua5.4 -e 'package.path = "lua/?.lua;" .. package.path
      local _, message, is_pipe = require "zuora.cli.put"(io.stdout, "a")
      io.stderr:write(message, " ", tostring(is_pipe))'; } | true]]
    assert.equal("Broken pipe true", told)
  end)
end)
