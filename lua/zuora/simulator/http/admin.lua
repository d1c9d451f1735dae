--- The simulator's own path, by which a test tells it what to do, and asks what it has seen.

local json = require "zuora.simulator.engine.json"
local replies = require "zuora.simulator.http.replies"

local admin = {}

local BASE = "/_simulator/"

-- What was asked for, and what has become of it.
local function held_by(app)
  local tenant, held = app.tenant, { jobs = {}, runs = {}, queries = {} }
  for i, job in ipairs(tenant.jobs.list) do
    held.jobs[i] = { id = job.id, name = job.fields.name, status = job.progress:stage() }
  end
  for i, run in ipairs(tenant.runs.list) do
    held.runs[i] = { id = run.id, report = run.reportId, status = run.progress:stage() }
  end
  for i, job in ipairs(tenant.queries.list) do
    held.queries[i] = { id = job.id, query = job.fields.query, status = job.progress:stage() }
  end
  for name, list in pairs(held) do held[name] = json.array(list) end
  held.struck = next(app.faults.struck) and app.faults.struck or nil
  return held
end

-- By method and path: each gives what is answered (nil: that it is done), or raises what is wrong with its wish.
local ACTIONS = {
  ["GET journal"] = function(app) return { journal = json.array(app.journal.requests) } end,
  ["DELETE journal"] = function(app) app.journal:forget() end,
  ["GET held"] = held_by,
  ["POST fault"] = function(app, given) app.faults:add(given) end,
  ["DELETE fault"] = function(app)
    app.faults:clear()
    app.tenant:set_outcomes {}
  end,
  ["POST clock"] = function(app, given) app.tenant:forward(tonumber(given.forward) or 0) end,
  ["POST update"] = function(app, given) app.tenant:update(given.object, given.rows) end,
  ["POST delete"] = function(app, given) app.tenant:delete(given.object, given.ids) end,
  ["POST stop"] = function(app) app.stopped = true end,
}

--- Is this a request for the simulator itself?
function admin.is_for(request) return request.path:sub(1, #BASE) == BASE end

---@param app table
---@param request table
---@return table response
function admin.answer(app, request)
  local given = request.body ~= "" and json.decode(request.body) or {}
  if type(given) ~= "table" then return replies.json(400, { message = "A JSON object is expected." }) end
  local action = ACTIONS[request.method .. " " .. request.path:sub(#BASE + 1)]
  if not action then return replies.json(404, { message = "No such admin path" }) end
  local ok, answer = pcall(action, app, given)
  if not ok then return replies.json(400, { message = answer }) end
  return replies.json(200, answer or { success = true })
end

return admin
