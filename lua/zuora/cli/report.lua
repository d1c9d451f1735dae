--- zuora report: reports and their runs.

local json = require "zuora.cli.json"
local target = require "zuora.cli.target"
local texts = require "zuora.cli.texts"

local report = {}

-- What is shown of a run, and of a report, in a table.
local RUN, REPORT = { "id", "status", "reportId", "reportType", "startedOn" }, { "id", "name", "type", "updatedOn" }

-- Where rows are written with -o alone.
local function check_columns(args)
  if args.columns and not args.output then texts.usage "--columns is for rows: it goes with -o (-: standard output)" end
end

local function hold(command, thing)
  return command:holds("report run " .. thing.id, thing, { "report", "download", thing.id })
end

local function held(command, args)
  return hold(command, command:known(command:client().reportruns, args.run_id))
end

local function check_raw(args)
  local is_file = args.output and args.output ~= "-" and target.replaces(args.output)
  if args.raw and (not is_file or args.format or args.json or args.columns) then
    texts.usage "--raw is for -o FILE, without --format and --columns"
  end
end

-- From a run to its rows.
local function fetch(command, args, subject)
  return command:fetch(subject, { pivoted = args.pivoted, verify = args.verify })
end

local verbs = {}

function verbs.search(command, args)
  local list = {}
  for found in command:client().reports:each(args.text) do
    list[#list + 1] = found
    if #list == args.limit then break end
  end
  return command:print_records(list, REPORT)
end

function verbs.run(command, args)
  check_raw(args)
  for _, name in ipairs { "output", "columns", "pivoted", "verify" } do
    if args.no_wait and args[name] then
      texts.usage(("--%s is for rows, and with --no-wait there are none: it goes with report download"):format(name))
    end
  end
  local filters, client = texts.filters(args.filter), command:client()
  local report_id, err = client.reports:id_of(args.report)
  if not report_id then return nil, err end
  command:begins("a run of " .. args.report, "zuora report list")
  local run
  run, err = client.reportruns:start(report_id, { view = args.view, filters = filters })
  if not run then return nil, err end
  local subject = hold(command, run)
  if args.no_wait then return command:print_record(run) end
  return fetch(command, args, subject)
end

function verbs.wait(command, args)
  check_columns(args)
  local subject = held(command, args)
  local run, err = command:wait(subject)
  if not run then return nil, err end
  if args.output then return command:deliver(subject) end
  subject.item:done(run.status)
  return command:print_record(run)
end

function verbs.download(command, args)
  check_raw(args)
  return fetch(command, args, held(command, args))
end

function verbs.status(command, args)
  return command:print_record(command:client().reportruns:get(args.run_id))
end

function verbs.cancel(command, args)
  local done, words = command:client().reportruns:cancel(args.run_id)
  if not done then return nil, words end
  command.progress:line(words or ("report run %s is cancelled"):format(args.run_id))
  return true
end

function verbs.last(command, args)
  check_columns(args)
  local client = command:client()
  local report_id, err = client.reports:id_of(args.report)
  if not report_id then return nil, err end
  local run
  run, err = client.reportruns:last(report_id)
  if not run then return nil, err end
  if run.reportId ~= nil and run.reportId ~= report_id then
    return nil, { kind = "incomplete", message = ("report run %s is of report %s, not %s"):format(run.id,
      tostring(run.reportId), report_id) }
  end
  if not args.output then return command:print_record(run) end
  args.wait = 0 -- a last run that is not done has no rows
  return fetch(command, args, hold(command, run))
end

function verbs.list(command, args)
  local runs, err = command:client().reportruns:list { status = args.status[1] and args.status, page_size = args.limit }
  if not runs then return nil, err end
  return command:print_records(runs, RUN)
end

local function unsound(kind, run_id, words)
  return nil, { kind = kind, message = ("the data of report run %s: %s"):format(run_id, words) }
end

-- A row is an object; what else comes, nothing could be printed of.
local function is_row(value)
  if type(value) ~= "table" then return false end
  for name in pairs(value) do
    if type(name) ~= "string" then return false end
  end
  return true
end

-- The rows of a page as one text, and whether they differ.
local function text_of(page)
  local texts_of, differ = {}, false
  for i, row in ipairs(page) do
    texts_of[i] = json.record(row)
    differ = differ or texts_of[i] ~= texts_of[1]
  end
  return table.concat(texts_of, "\n"), differ
end

-- Is it a page of rows, and the one that was asked for?
local function check_page(run_id, data, offset)
  local page = data.page
  if #page == 0 and next(page) ~= nil then return unsound("json", run_id, "'page' is no list") end
  for _, row in ipairs(page) do
    if not is_row(row) then return unsound("json", run_id, "'page' holds something that is no row") end
  end
  if data.total ~= nil and not math.tointeger(tonumber(data.total)) then
    return unsound("json", run_id, "'total' is no whole number")
  end
  if data.offset ~= nil and tonumber(data.offset) ~= offset then
    return unsound("incomplete", run_id, ("rows from %d on were asked for, and those from %s on came"):format(offset,
      tostring(data.offset)))
  end
  return true
end

-- All pages before the first word, so that nothing is half there.
function verbs.data(command, args)
  local list = {}
  local last, total, count
  repeat
    local data, err = command:client().reportruns:data(args.run_id, { offset = 1 + #list })
    if not data then return nil, err end
    local sound
    sound, err = check_page(args.run_id, data, 1 + #list)
    if not sound then return nil, err end
    local text, differ = text_of(data.page)
    if differ and text == last then return unsound("incomplete", args.run_id, "a page came a second time") end
    last, total, count = text, math.tointeger(tonumber(data.total)), #data.page
    table.move(data.page, 1, count, #list + 1, list)
  until count == 0 or total and #list >= total
  if total and #list ~= total then
    return unsound("incomplete", args.run_id, ("it has %d rows, and should have %d"):format(#list, total))
  end
  return command:print_records(list)
end

function report.define(noun, parser)
  local function verb(name, summary, shared) return parser.verb(noun, name, summary, shared, verbs[name]) end
  local function of_run(name, summary, shared)
    local one = verb(name, summary, shared)
    parser.argument(one, "RUN-ID", "run_id")
    return one
  end
  local function of_report(name, summary, shared)
    local one = verb(name, summary, shared)
    parser.argument(one, "NAME-OR-ID", "report"):description "Its id (32 hexadecimal digits), or its exact name."
    return one
  end
  local function with_result(one)
    one:flag "--pivoted":description "As a pivot table."
    one:flag "--verify":description "Hold the number of records against report data, too (a call more)."
    one:flag "--raw":description "Keep the server's bytes (with -o)."
  end
  local search = verb("search", "search reports by name, data source and description", "format settings")
  parser.argument(search, "TEXT", "text")
  search:option "--limit":argname "N":convert(parser.count):description "No more than so many."
  local run = of_report("run", "run a report, wait for it, and write its rows", "rows waiting settings")
  run:option "--view":choices { "Detail", "Summary" }:default "Detail"
  run:option "--filter":argname "JSON":count "*"
    :description "Zuora's filters, a group or a list of them (@FILE: what is in it), instead of the report's."
  with_result(run)
  with_result(of_run("download", "wait for a run, and write its rows", "rows waiting settings"))
  of_run("wait", "wait for a run (and write its rows, with -o)", "rows time polling settings")
  of_run("status", "a run as it is now", "format settings")
  of_run("cancel", "cancel a run", "settings")
  of_run("data", "a run's rows as report data has them: formatted text", "format settings")
  of_report("last", "the last completed run of a report (and its rows, with -o)", "rows settings")
  local list = verb("list", "runs, by default those in progress", "format settings")
  list:option "--status":argname "STATUS":count "*"
    :description "STARTED, QUERYDATA, PROCESSINGDATA, COMPLETED and the like."
  list:option "--limit":argname "N":convert(parser.count):description "No more than so many (250)."
end

return report
