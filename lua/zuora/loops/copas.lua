--- A client in the loop of Copas, 4.0 or newer.

local attachment = require "zuora.loops.attachment"
local lib = require "copas"

local copas = {}

local OPTIONS = { on_error = "function" }

-- Copas waits for what it believes to be a socket, in a coroutine that receives from it or sends to it: this one has
-- nothing the first time that it is asked. `ready` is called unless it was closed before.
local function watch(fd, verb, ready)
  local socket, asked, closed = {}, false, false
  function socket.getfd() return fd end
  function socket.close() closed = true end
  socket[verb] = function()
    if asked or closed then return 1 end
    asked = true
    return nil, "timeout", 0
  end
  lib.addthread(function()
    lib[verb](socket, "")
    if not closed then ready() end
  end)
  return socket
end

--- Puts a client into Copas' loop, which moves its tasks on, and goes on as long as any is left.
---@param client zuora.Client
---@param options zuora.loops.Options|nil
---@return zuora.Attachment
function copas.attach(client, options)
  options = attachment.options("zuora.loops.copas.attach", client, options, OPTIONS)
  local attached ---@type zuora.loops.Attachment
  local watched, thread = { receive = {}, send = {} }, nil -- verb -> descriptor -> socket
  local function wake() if thread then lib.wakeup(thread) end end
  local function forget(sockets, fds, event)
    for fd, socket in pairs(sockets) do
      if not (fds[fd] or ""):find(event) then
        sockets[fd] = nil
        lib.close(socket)
      end
    end
  end
  local function watch_all(fds)
    for verb, event in pairs { receive = "r", send = "w" } do
      local sockets = watched[verb]
      forget(sockets, fds, event)
      for fd, events in pairs(fds) do
        if events:find(event) and not sockets[fd] then
          sockets[fd] = watch(fd, verb, function()
            sockets[fd] = nil
            wake()
          end)
        end
      end
    end
  end
  local function drive()
    while not attached.detached do
      local fds, seconds = attached:turn()
      watch_all(fds)
      if not (seconds or next(fds)) then break end
      if seconds then lib.pause(seconds) else lib.pauseforever() end
    end
    thread = nil
  end
  local function start()
    watch_all {}
    if thread then return wake() end
    thread = lib.addthread(drive)
  end
  local function stop()
    watch_all {}
    wake()
  end
  attached = attachment.new(client, options.on_error, start, stop)
  start()
  return attached
end

return copas
