--- For `make check-gc`: runs the specs with the collector at its most aggressive.
-- SPEC_COLLECTOR=stepping: a step of it every thousand instructions, so that whatever is not held is gone soon;
-- generational: a young collection for each percent that the memory grows.

local mode = os.getenv "SPEC_COLLECTOR"

if mode == "stepping" then
  -- No shorter pause and no larger steps: at 100 and 1000 the collector hardly lets go, and some specs never end.
  -- (A step without a size is one whatever the debt; one of 1 KiB does nothing in a pause.)
  collectgarbage("incremental", 200, 400)
  -- Coroutines get the hook of the thread that makes them.
  debug.sethook(function() collectgarbage("step") end, "", 1000)
elseif mode == "generational" then
  collectgarbage("generational", 1, 10)
else
  error("SPEC_COLLECTOR=" .. tostring(mode) .. ": stepping or generational expected")
end
