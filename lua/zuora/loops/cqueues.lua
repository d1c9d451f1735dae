--- A client in a controller of cqueues.

local attachment = require "zuora.loops.attachment"
local check = require "zuora.support.check"
local condition = require "cqueues.condition"
local lib = require "cqueues"

local cqueues = {}

local OPTIONS = { on_error = "function", loop = "any" }

--- Puts a client into a controller: its loop moves the client's tasks on, and goes on as long as any is left.
---@param client zuora.Client
---@param options zuora.loops.CqueuesOptions|nil
---@return zuora.Attachment
function cqueues.attach(client, options)
  options = attachment.options("zuora.loops.cqueues.attach", client, options, OPTIONS)
  local loop = options.loop or lib.running()
  if lib.type(loop) ~= "controller" then
    check.fail("zuora.loops.cqueues.attach", "loop", "a controller expected, outside of one's coroutines")
  end
  local woken, driving, watched = condition.new(), false, {}
  local attached ---@type zuora.loops.Attachment
  -- It remembers descriptors: to be forgotten before they are closed.
  local function forget()
    for fd in pairs(watched) do lib.cancel(fd) end
    watched = {}
  end
  local function drive()
    while not attached.detached do
      local fds, seconds = attached:turn()
      if not (seconds or next(fds)) then break end
      watched = fds
      local wanted = { woken, seconds } -- a number is a time-out
      for fd, events in pairs(fds) do wanted[#wanted + 1] = { pollfd = fd, events = events } end
      lib.poll(table.unpack(wanted))
      forget()
    end
    driving = false
  end
  local function wake()
    forget()
    if driving then return woken:signal() end
    driving = true
    loop:wrap(drive)
  end
  local function stop()
    forget()
    woken:signal()
  end
  attached = attachment.new(client, options.on_error, wake, stop)
  wake()
  return attached
end

return cqueues
