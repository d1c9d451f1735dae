--- For `make check-gc`: runs the specs with the collector at its most aggressive.
-- SPEC_COLLECTOR=stepping: a step of it every thousand instructions, so that whatever is not held is gone at once;
-- generational: a young collection for each percent that the memory grows.

local mode = os.getenv "SPEC_COLLECTOR"

if mode == "stepping" then
  collectgarbage("incremental", 100, 1000)
  -- Coroutines get the hook of the thread that makes them.
  debug.sethook(function() collectgarbage("step", 1) end, "", 1000)
elseif mode == "generational" then
  collectgarbage("generational", 1, 10)
else
  error("SPEC_COLLECTOR=" .. tostring(mode) .. ": stepping or generational expected")
end
