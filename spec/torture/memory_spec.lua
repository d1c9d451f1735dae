-- The main job while memory fails: Lua's own, and that of the core, libcurl and zlib. `make torture` fails every
-- allocation, under sanitizers; `busted` some of them. See memory.c. (lua-cjson's own are not among them: it ends
-- the process.)

local sweep = require "spec.torture.sweep"

local ALL = os.getenv "TORTURE" ~= nil

-- What fails, and of how many allocations one is tried in a part of job.lua.
local SWEEPS = {
  { who = "lua", of = "Lua", json = 1, core = 71, client = 61, work = 149 },
  { who = "core.so,libcurl,libz", of = "C", client = 3, work = 97 },
}

-- What is not ours. libcurl (7.88.1, in url.c) takes no notice when it has no memory for a copy of the query, and
-- sends the request without it: the tenant misses what was in there.
local function is_excused(problem)
  return problem.text:find("'viewType' is not present", 1, true) ~= nil
end

describe("when memory fails", function()
  for _, one in ipairs(SWEEPS) do
    for _, how in ipairs { "only", "from" } do
      for _, part in ipairs { "json", "core", "client", "work" } do
        local step = one[part]
        if step then
          it(("of %s, %s the n-th allocation, in %s"):format(one.of, how, part), function()
            local result = sweep.run { who = one.who, how = how, part = part, step = ALL and 1 or step,
              build = ALL and "build/asan" or "build" }
            if ALL then print(("%d allocations failed"):format(result.tried)) end
            assert.equal("", sweep.told(result, is_excused))
          end)
        end
      end
    end
  end
end)
