local core = require "zuora.core"
local support = require "spec.support"

-- Waits until the program has ended.
local function finish(child)
  local pause <close> = core.session {}
  local ends_at, status = core.now() + 10, child:poll()
  while status == nil do
    assert(core.now() < ends_at, "it goes on and on")
    pause:step(0.01)
    status = child:poll()
  end
  return status
end

local function written(file)
  file:seek "set"
  return file:read "a"
end

describe("a program beside this one", function()
  it("has files as its streams, and its words as they are", function()
    local input, output, errors = io.tmpfile(), io.tmpfile(), io.tmpfile()
    input:write "from here"
    input:seek "set"
    local child <close> = assert(core.spawn({ "sh", "-c", 'cat; printf "%s" "$1"; echo wrong >&2; exit 7', "sh", "$HOME *" },
      { stdin = input, stdout = output, stderr = errors }))
    assert.equal(7, finish(child))
    assert.equal(7, child:poll())
    assert.equal("from here$HOME *", written(output))
    assert.equal("wrong\n", written(errors))
  end)

  it("takes its streams from ours, whichever of them they are", function()
    local _, code = support.lua [[
      local core = require "zuora.core"
      local file = assert(io.open(os.tmpname(), "w+"))
      local child <close> = core.spawn({ "sh", "-c", "echo out; echo err >&2" }, { stdout = file, stderr = io.stdout })
      while not child:poll() do end
      file:seek "set"
      assert(file:read "a" == "out\n")
    ]]
    assert.equal(0, code)
  end)

  it("is told of as a shell does when a signal ends it", function()
    local child <close> = assert(core.spawn { "sleep", "60" })
    assert.is_nil(child:poll())
    child:kill()
    assert.equal(128 + 15, finish(child))
    child:kill() -- it is over
  end)

  it("that cannot be started is no child", function()
    local child, problem = core.spawn { "/no/such/program" }
    assert.is_nil(child)
    assert.equal("/no/such/program: No such file or directory", problem)
  end)

  it("ends with the variable that holds it, and leaves no zombie", function()
    collectgarbage()
    collectgarbage()
    local before = support.descriptors()
    do
      local _ <close> = assert(core.spawn { "sleep", "60" })
    end
    assert(core.spawn { "sleep", "60" })
    collectgarbage()
    collectgarbage()
    assert.equal(0, select(2, support.shell("LD_PRELOAD= ps -o stat=,args= --ppid $PPID | grep '[s]leep 60'"):gsub("\n", "")))
    assert.equal(before, support.descriptors())
  end)

  it("raises for what cannot be meant", function()
    local closed = io.tmpfile()
    closed:close()
    for _, case in ipairs { { nil, nil }, { {} }, { { 7 } }, { { "a\0b" } }, { { "true" }, { stdout = "x" } },
      { { "true" }, { stdout = closed } }, { { "true" }, { output = io.stdout } } } do
      assert.has_error(function() core.spawn(case[1], case[2]) end)
    end
  end)
end)

describe("core.mode", function()
  it("tells who may do what with a file, and whether it is one", function()
    local path = support.scratch "mode" .. "/file"
    support.write(path, "")
    assert(os.execute("chmod 640 " .. path))
    assert.same({ 416, true, true }, { core.mode(path) })
    local file <close> = assert(io.open(path))
    assert.same({ 416, true, true }, { core.mode(file) })
    assert.is_false((select(3, core.mode "/dev/null")))
    assert.is_false((select(3, core.mode "build")))
    assert.same({ nil, "No such file or directory" }, { core.mode "/no/such" })
    assert.has_error(function() core.mode(7.5, {}) core.mode {} end)
  end)
end)
