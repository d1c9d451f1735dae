--- zuora extract: plans of objects, reports and queries, read again and again.

local exits = require "zuora.cli.exits"
local extract = require "zuora.extract"
local failure = require "zuora.extract.failure"
local phrases = require "zuora.extract.base.phrases"
local target = require "zuora.cli.target"

local count = phrases.count

local verbs_of = {}

local UNITS = { s = 1, m = 60, h = 3600, d = 86400 }

-- "90d" as seconds.
local function duration(text)
  local number, unit = text:match "^(%d+)([smhd])$"
  if not number then return nil, ("'%s' is no time such as 12h or 90d"):format(text) end
  return math.tointeger(tonumber(number)) * UNITS[unit]
end

-- "2026-11-28" or "2026-11-28T10:00:00Z" as seconds since the epoch.
local function moment(text)
  local seconds = require "zuora".time(text)
  if not seconds then return nil, ("'%s' is no time such as 2026-11-28T10:00:00Z"):format(text) end
  return math.floor(seconds)
end

-- --- run ----------------------------------------------------------------------------------------------

local STATES = { planned = "asking", submitted = "waiting", completed = "fetching", fetched = "proving",
  published = "loading", loaded = "closing" }

local function words_of(result)
  local gap = result.gap and "; " .. result.gap or ""
  if result.outcome == "up to date" then
    return "up to date" .. (result.warning and "; warning: " .. result.warning or "") .. gap
  end
  if result.outcome == "taken over" then return "taken over by another worker, since this one did not answer" end
  local words = ("%s, %s, %s"):format(count(result.records, "record"), count(result.bytes, "byte"),
    count(result.reads, "read"))
  if result.refused then words = words .. "; refused: " .. table.concat(result.refused, ", ") end
  if result.warning then words = words .. "; warning: " .. result.warning end
  if result.lost then words = words .. "; no longer there: " .. table.concat(result.lost, ", ") end
  return words .. gap
end

-- What may be given several times: nil where it was not given.
local function given(list) return list[1] and list or nil end

-- A line of progress for each item.
local function told(command, words)
  local items = {}
  local function line(name, entity)
    local key = name .. (entity and entity ~= "" and " " .. entity or "")
    items[key] = items[key] or command.progress:item(key)
    return items[key], key
  end
  return {
    on_step = function(of, read)
      local state = STATES[read.state] or read.state
      line(read.item, read.entity):waiting(of.month and of.month .. ": " .. state or state, 0)
    end,
    on_item = function(result)
      local item, key = line(result.item, result.entity)
      items[key] = nil
      if result.err then return item:lost(tostring(result.err)) end
      item:done(words(result), (result.lost or result.gap or result.warning) ~= nil)
    end,
  }
end

-- A place for figures is tried before anything is asked for, as that of a result is. (Another worker may do the same.)
local function try_metrics(path)
  local done, err = true, nil
  if path then done, err = target.try(path) end
  if done or err.exit == exits.later then return true end
  err.exit = exits.usage
  return nil, err
end

-- What a scheduler is told of all items together.
local function code_of(results)
  local errors, is_lost = {}, false
  for _, result in ipairs(results) do
    errors[#errors + 1] = result.err
    is_lost = is_lost or result.lost ~= nil or result.gap ~= nil
  end
  if #errors > 0 then return exits.of_several(errors, #errors < results.n) end
  return is_lost and exits.some or exits.ok
end

-- Flags of the line that goes on with a plan. (Not --again: what that has begun is gone on with, and would be read a
-- second time.)
local KEPT = { "item", "check", "forever", "keep_mark", "reconcile", "backfill", "wait", "poll", "lease", "metrics" }

-- The line that goes on with a plan, as soon as there is something to go on with.
local function repeats(command, args, verb)
  local words = { "extract", verb, args.plan }
  for _, name in ipairs(KEPT) do
    local value = args[name]
    for _, one in ipairs(type(value) == "table" and value or { value or nil }) do
      words[#words + 1] = "--" .. name:gsub("_", "-")
      if one ~= true then words[#words + 1] = math.type(one) and ("%.14g"):format(one) or one end
    end
  end
  command:repeats(args.plan, words)
end

-- What all are told that work on items.
local function options_of(command, args, verb, words)
  local options = told(command, words)
  local told_step = options.on_step
  options.wait, options.poll, options.lease, options.metrics = args.wait, args.poll, args.lease, args.metrics
  function options.on_step(item, read)
    repeats(command, args, verb)
    told_step(item, read)
  end
  return options
end

-- What a plan is refused for, the same command would be refused for again: nothing is to go on with.
local function rule_out(command, results)
  for _, result in ipairs(results) do
    if result.err and result.err.kind ~= "plan" then return end
  end
  command.subject = nil
end

local function ended(command, results, err)
  if not results then return nil, err end
  rule_out(command, results)
  local code = code_of(results)
  if code == exits.ok then return true end
  return nil, { exit = code, message = code == exits.some and "not all of the plan is as it should be"
    or "not all items are done" }
end

-- (Without settings there is no run that could tell of itself.)
local function client_for(command, args)
  local ok, client = pcall(command.client, command)
  if ok then return client end
  failure.note(args.plan, { metrics = args.metrics, items = given(args.item or {}) }, client)
  error(client, 0)
end

function verbs_of.run(command, args)
  if args.dry_run then return verbs_of.check(command, args) end
  local has_place, problem = try_metrics(args.metrics)
  if not has_place then return nil, problem end
  local options = options_of(command, args, "run", words_of)
  options.only_failed = true
  options.items, options.again, options.keep_mark = given(args.item), args.again, args.keep_mark
  options.reconcile, options.backfill = args.reconcile, given(args.backfill)
  return ended(command, extract.run(client_for(command, args), args.plan, options))
end

function verbs_of.work(command, args)
  local has_place, problem = try_metrics(args.metrics)
  if not has_place then return nil, problem end
  local options = options_of(command, args, "work", words_of)
  options.only_failed, options.forever = true, args.forever
  return ended(command, extract.work(client_for(command, args), args.plan, options))
end

-- --- audit --------------------------------------------------------------------------------------------

local function audit_words(result)
  if result.reason then return "not audited: " .. result.reason end
  return ("%s: %s in %s, as of %s; %d %s changed since"):format(result.outcome, count(result.rows, "row"),
    count(result.months, "month"), result.mark, result.changed, result.changed == 1 and "has" or "have")
end

-- Count and sums as one text.
local function figures(of)
  local words = {}
  for name, value in pairs(of) do
    if name ~= "count" then words[#words + 1] = name .. " " .. value end
  end
  table.sort(words)
  table.insert(words, 1, count(of.count, "row"))
  return table.concat(words, ", ")
end

function verbs_of.audit(command, args)
  local options = options_of(command, args, "audit", audit_words)
  options.items, options.check = given(args.item), args.check
  local results, err = extract.audit(command:client(), args.plan, options)
  if not results then return nil, err end
  local records, errors, came = {}, {}, {}
  for _, result in ipairs(results) do
    for _, one in ipairs(result.differences) do
      records[#records + 1] = { item = result.item, entity = result.entity, month = one.month,
        expected = figures(one.expected), found = figures(one.found), outcome = result.outcome }
    end
    if result.err then errors[#errors + 1] = result.err end
    came[result.outcome] = true
  end
  local done, problem = command:print_records(records, { "item", "entity", "month", "expected", "found", "outcome" })
  if not done then return nil, problem end
  rule_out(command, results)
  if #errors > 0 then
    return nil, { exit = exits.of_several(errors, #errors < #results), message = "not all items were audited" }
  end
  if came.wrong then return nil, { exit = exits.incomplete, message = "the target is not as it should be" } end
  if #records > 0 then return nil, { exit = exits.some, message = "the target was not as it should be, and is now" } end
  local is_left_out = came["not audited"]
  came["not audited"], came["read whole"] = nil, nil
  if not next(came) then return nil, { exit = exits.usage, message = "nothing of this plan could be audited" } end
  if is_left_out then return nil, { exit = exits.some, message = "not all items were audited" } end
  return true
end

-- --- looking ------------------------------------------------------------------------------------------

function verbs_of.check(command, args)
  local list, err = extract.preview(command:client(), args.plan, { again = args.again, keep_mark = args.keep_mark,
    reconcile = args.reconcile, backfill = given(args.backfill), items = given(args.item) })
  if not list then return nil, err end
  local failed = {}
  for i, one in ipairs(list) do
    list[i] = { item = one.item, entity = one.entity, state = one.err and "refused" or one.state
      or one.up_to_date and "up to date" or "new", kind = one.kind, from = one.from, to = one.to,
      query = one.query, error = one.err and tostring(one.err) or nil }
    if one.err then failed[#failed + 1] = one.err end
  end
  local done, problem = command:print_records(list, { "item", "entity", "state", "kind", "from", "to", "query",
    "error" })
  if not done then return nil, problem end
  if #failed == 0 then return true end
  return nil, { exit = exits.of_several(failed, #failed < #list),
    message = count(#failed, "item") .. " cannot be read" }
end

function verbs_of.status(command, args)
  local list, err = extract.status(args.plan, { items = given(args.item) })
  if not list then return nil, err end
  for i, one in ipairs(list) do
    local open = one.open[1]
    list[i] = { item = one.item, entity = one.entity, state = one.state, mark = one.mark, next = one.next,
      last = one.last and one.last.read, records = one.last and one.last.records, open = open and open.read,
      open_reads = #one.open, job = open and open.job, owner = one.owner, lease = one.lease, error = one.error }
  end
  local columns = { "item", "entity", "state", "mark", "next", "records", "last", "open_reads", "open", "job", "owner",
    "lease", "error" }
  local for_people = not command:format() and command.terminal.is_terminal
  if for_people then columns[#columns] = nil end -- a line is wide enough for it
  local done, problem = command:print_records(list, columns)
  for _, one in ipairs(done and for_people and list or {}) do
    if one.error then command.progress:line(("%s: %s"):format(one.item, one.error), true) end
  end
  return done, problem
end

function verbs_of.history(command, args)
  local list, err = extract.history(args.plan, { items = given(args.item) })
  if not list then return nil, err end
  return command:print_records(list, { "at", "item", "what", "detail" })
end

function verbs_of.verify(command, args)
  local found, err = extract.verify(args.folder, { items = given(args.item) })
  if not found then return nil, err end
  for _, one in ipairs(found.problems) do command.progress:line(("%s: %s"):format(one.path, one.problem), true) end
  if found.cure then command.progress:line("to bring anew what is damaged: " .. found.cure, true) end
  if #found.problems > 0 then
    return nil, { exit = exits.incomplete, message = #found.problems == 1 and "a file is not what it was"
      or #found.problems .. " files are not what they were" }
  end
  command.progress:line(("%s, %s, %s: all as they were"):format(count(found.files, "file"),
    count(found.records, "record"), count(found.bytes, "byte")))
  return true
end

-- --- tending ------------------------------------------------------------------------------------------

function verbs_of.reset(command, args)
  for _, name in ipairs(args.item) do
    local list, err = extract.reset(args.plan, { item = name, from = args.from })
    if not list then return nil, err end
    if #list == 0 then command.progress:line(name .. ": nothing has been read of it yet") end
    for _, one in ipairs(list) do
      command.progress:line(("%s: the next run reads it again from %s"):format(one.item, one.from))
    end
  end
  return true
end

function verbs_of.prune(command, args)
  local gone, err = extract.prune(args.plan, { keep = args.keep })
  if not gone then return nil, err end
  for _, path in ipairs(gone) do command.progress:line("removed " .. path) end
  return true
end

function verbs_of.init(command, args)
  local plan, err = extract.init(command:client(), { objects = given(args.object), plan = args.name,
    output = args.folder })
  if not plan then return nil, err end
  return command:print_text(extract.encode(plan))
end

-- --- the words ----------------------------------------------------------------------------------------

local extract_noun = {}

local function plan_of(parser, one)
  parser.argument(one, "PLAN", "plan"):description "The plan, a JSON file."
  return one
end

local function of_items(one)
  one:option "--item":argname "NAME":count "*":description "This item alone; may be given several times."
  return one
end

local function how_to_read(one)
  one:flag "--again":description "Read once more what has been read, and bring damaged files anew."
  one:flag "--keep-mark":description "Go on from where it was with a query that was changed."
  one:flag "--reconcile"
    :description "Read the keys of all rows, too: what a target has more was deleted (there is a file of them)."
  one:option "--backfill":argname "FIELD":count "*"
    :description "Read this column of --item for all rows, too; may be given several times."
end

local function how_to_wait(parser, one)
  one:option "--wait":argname "SECONDS":convert(parser.seconds)
    :description "How long to wait for a job (the plan's wait, 4h). What has not settled goes on in Zuora: exit code 6."
  one:option "--poll":argname "SECONDS":convert(parser.seconds)
    :description "The first pause between two looks at a job (1); it grows to 20."
  one:option "--lease":argname "SECONDS":convert(parser.seconds)
    :description "With a store on PostgreSQL: for how long an item stays a worker's that does not answer (60)."
  return one
end

local function what_to_tell(one)
  one:option "--metrics":argname "FILE":description "Write figures for Prometheus into FILE."
  return one
end

function extract_noun.define(noun, parser)
  local function verb(name, summary, shared) return parser.verb(noun, name, summary, shared, verbs_of[name]) end
  local run = what_to_tell(of_items(how_to_wait(parser, plan_of(parser, verb("run",
    "bring all items of a plan up to date", "settings")))))
  run:flag "--dry-run":description "Say what would be asked for, and ask for nothing."
  how_to_read(run)
  what_to_tell(how_to_wait(parser, plan_of(parser, verb("work", "bring a plan up to date beside other machines",
    "settings")))):flag "--forever":description "Go on with each step of the plan's grid."
  how_to_read(of_items(plan_of(parser, verb("check", "say what the next run would ask for", "format settings"))))
  local audit = of_items(how_to_wait(parser, plan_of(parser, verb("audit",
    "compare what is loaded with Zuora, and mend it", "format settings"))))
  audit:flag "--check"
    :description "Say what differs (exit code 5), and mend nothing. Mended, or not all audited: 7; nothing audited: 2."
  of_items(plan_of(parser, verb("status", "where each item of a plan stands", "format")))
  of_items(plan_of(parser, verb("history", "what has happened to a plan", "format")))
  local verify = of_items(verb("verify", "prove what lies in a plan's folder, without Zuora", ""))
  parser.argument(verify, "FOLDER", "folder")
  local reset = plan_of(parser, verb("reset", "set an item back, to be read again", ""))
  reset:option "--item":argname "NAME":count "+":description "This item; may be given several times."
  reset:option "--from":argname "TIME":convert(moment):description "From that time (from the beginning)."
  local prune = plan_of(parser, verb("prune", "take old files away", ""))
  prune:option "--keep":argname "TIME":convert(duration):default "90d"
    :description "What is younger stays (90d), and the newest of each item."
  local init = verb("init", "print a plan of the tenant's objects", "settings")
  init:option "--object":argname "NAME":count "*":description "This object alone; may be given several times."
  init:option "--name":argname "NAME":description "The plan's name (nightly)."
  init:option "--folder":argname "DIR":description "The plan's folder (out)."
end

return extract_noun
