--- The life of what Zuora works on by itself: a report run, an AQuA job, a query job. It is asked for, waited for and
--- cancelled in one way; what differs is said by a description:
--
-- * noun: what it is called in messages: "job"
-- * operations: get, cancel
-- * api: how its operations are called, a method of the caller: "json", "reporting"
-- * read(answer, parameters, context): the fields of an answer, or nil and what is wrong with it
-- * status: the name of the field that says where it stands
-- * outcomes: what the final statuses mean: { [status] = { "completed" | "failed" | "cancelled", words } }; while it
--   has any other it is pending
-- * failed_by: the name of a field that is there when it has failed, whatever its status (or nil)
-- * details(record): what there is to say of a failure besides, or nil
-- * replace(record, fields): a record takes over its newer state
-- * cancelled_in_words: the answer to a cancel is words, so that it has to be asked for again

local check = require "zuora.support.check"
local record = require "zuora.resources.record"
local wait = require "zuora.tasks.wait"

local lifecycle = {}

local Lifecycle = {}
Lifecycle.__index = Lifecycle

-- The fields of an answer, with no secret in the texts that say how it went: people read them.
local function shown(self, caller, fields, problem)
  if not fields then return nil, problem end
  local words, name = caller.words, self.status
  if not words[fields[name]] then fields[name] = caller:word(fields[name]) end
  if fields.message then fields.message = caller:word(fields.message) end
  if fields.errorMessage then fields.errorMessage = caller:word(fields.errorMessage) end
  return fields
end

---@param description table
function lifecycle.new(description)
  local self = setmetatable(description, Lifecycle)
  function self.shape(answer, context, parameters)
    return shown(self, context.caller, self.read(answer, parameters, context))
  end
  return self
end

-- What the user gets for an answer: the record that it was asked for, up to date, or a new one.
local function take(self, context, held, fields, err)
  if not fields then return nil, err end
  if held then return self.replace(held, fields) end
  return setmetatable(fields, context.record)
end

--- Calls an operation that answers with the present state.
---@param context table of the collection, or of the record
---@param operation table
---@param parameters table
---@param options table
---@param held table|nil the record that takes the state over; without it there is a new one
---@return table|nil record, zuora.Error|nil err
function Lifecycle:call(context, operation, parameters, options, held)
  local caller = context.caller
  return take(self, context, held, caller[self.api](caller, operation, parameters, options, self.shape, context))
end

--- Its present state.
---@return table|nil record, zuora.Error|nil err
function Lifecycle:get(context, id, options, held)
  return self:call(context, self.operations.get, { id = id }, options, held)
end

--- What its status means.
---@param held table
---@return "completed"|"failed"|"cancelled"|nil verdict nil while it is pending
---@return string|nil words
function Lifecycle:verdict(held)
  local outcome = self.outcomes[record.status(held[self.status])]
  if not outcome and self.failed_by and held[self.failed_by] ~= nil then outcome = self.outcomes.error end
  if not outcome then return nil end
  local verdict, words = outcome[1], outcome[2]
  local details = words and self.details and self.details(held) or ""
  return verdict, details ~= "" and words .. ": " .. details or words
end

-- What waits; see wait.settle.
local Subject = {}
Subject.__index = Subject

function Subject:verdict(seen) return self.life:verdict(seen) end

function Subject:poll(left, options)
  return self.life:get(self.context, self.id, self.context.caller:poll_options(options, left), self.last)
end

function Subject:is_new() return self.context.caller.recent:has(self.last.id) end

--- Polls until it has settled. Completed is final: what is known to be completed is not asked for again.
---@return table|nil record, zuora.Error|nil err
function Lifecycle:wait(context, id, options, held)
  held = held or setmetatable({ id = id }, context.record)
  if self:verdict(held) == "completed" then return held end
  return context.caller:wait(setmetatable({ life = self, context = context, id = id, label = self.noun .. " " .. id,
    last = held, status = self.status }, Subject), options)
end

--- Starts one, waits for it, and downloads what comes of it. As in `wait`, `timeout` is the whole wait, and
--- `request_timeout` one request; `total_timeout` is over everything.
---@param context table of the collection
---@param options table the user's
---@param start fun(request_options: table): table|nil, zuora.Error|nil gives the record
---@param download fun(held: table, request_options: table): any|nil, zuora.Error|nil
---@return any|nil written, zuora.Error|nil err
function Lifecycle:fetch(context, options, start, download)
  local caller = context.caller
  local request_options = caller:shared(options)
  request_options.timeout = options.request_timeout
  local held, err = start(request_options)
  if not held then return nil, err end
  local left = request_options.ends_at and math.max(0, request_options.ends_at - caller.clock.now()) or math.huge
  held, err = self:wait(context, held.id,
    check.rules(request_options, { timeout = math.min(options.timeout or wait.TIMEOUT, left) }), held)
  if not held then return nil, err end
  return download(held, request_options)
end

--- Cancels it, and gives what it is then.
---@return table|nil record
---@return any words Zuora's, a string, if there are any; or the error
function Lifecycle:cancel(context, id, options, held)
  local caller, operation, parameters = context.caller, self.operations.cancel, { id = id }
  options = caller:shared(options)
  local done, words
  if self.cancelled_in_words then
    done, words = caller:done(operation, parameters, options)
  else
    done, words = caller:cancel(operation, parameters, options, function(answer)
      return self.shape(answer, context, parameters)
    end)
  end
  if done ~= true then return take(self, context, held, done, words) end
  local known, err = self:get(context, id, options, held)
  if known then return known, words end
  err.message = ("the %s was cancelled, but what it is now could not be learnt: %s"):format(self.noun, err.message)
  return nil, err
end

return lifecycle
