--- A client in the loop of luv (libuv).

local attachment = require "zuora.loops.attachment"
local uv = require "luv"

local luv = {}

local OPTIONS = { on_error = "function" }

--- Puts a client into luv's loop: uv.run moves its tasks on, and goes on as long as any is left.
---@param client zuora.Client
---@param options zuora.loops.Options|nil
---@return zuora.Attachment
function luv.attach(client, options)
  options = attachment.options("zuora.loops.luv.attach", client, options, OPTIONS)
  local timer, idle, polls = uv.new_timer(), uv.new_idle(), {}
  local attached ---@type zuora.loops.Attachment
  -- A number may stand for another connection later: libuv is to forget it before that one is closed.
  local function forget()
    for _, poll in ipairs(polls) do poll:stop() end
  end
  local function close_polls()
    while polls[1] do table.remove(polls):close() end
  end
  local function turn()
    timer:stop()
    idle:stop()
    close_polls()
    local fds, seconds = attached:turn()
    if attached.detached then return end
    for fd, events in pairs(fds) do
      local poll = uv.new_poll(fd)
      polls[#polls + 1] = poll
      poll:start(events, turn)
    end
    if seconds == 0 then
      idle:start(turn) -- a timer of no time would run again before the host does
    elseif seconds then
      timer:start(math.ceil(seconds * 1000), 0, turn)
    end
  end
  local function wake()
    forget()
    idle:start(turn)
  end
  -- Closed in the loop, when it goes on: luv crashes a process that ends with handles that are half closed.
  local function stop()
    forget()
    timer:stop()
    idle:start(function()
      close_polls()
      timer:close()
      idle:close()
    end)
  end
  attached = attachment.new(client, options.on_error, wake, stop)
  wake()
  return attached
end

return luv
