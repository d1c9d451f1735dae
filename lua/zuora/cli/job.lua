--- zuora job: AQuA jobs.

local count = require "zuora.extract.base.phrases".count
local exits = require "zuora.cli.exits"
local texts = require "zuora.cli.texts"

local job = {}

local BATCH = { "name", "status", "recordCount", "full", "fileId", "message" }
local FILE = { "name", "path", "records", "bytes" }

-- What a job is called, and the command that goes on with it.
local function hold(command, args, thing)
  local verb = args.directory and "download" or "wait"
  return command:holds("job " .. thing.id, thing, { "job", verb, thing.id })
end

local function held(command, args)
  return hold(command, args, command:known(command:client().jobs, args.job_id))
end

-- A table shows the batches: they are what a job is about.
local function print_job(command, one)
  if command:shows_table() then return command:print_records(one.batches or {}, BATCH) end
  return command:print_record(one)
end

-- A line of progress for each batch, from its first byte on.
local function batch_items(command)
  local items = {}
  return function(name)
    items[name] = items[name] or command.progress:item(tostring(name))
    return items[name]
  end
end

-- What of several could not be had is told, each on a line; the rest is done.
local function tell_failures(item_of, err)
  local list, done = {}, next(err.results) ~= nil
  for i, batch in ipairs(err.record.batches) do
    local problem = err.failures[i]
    if problem then
      item_of(batch.name):lost(problem.message)
      list[#list + 1] = problem
    end
  end
  return nil, { exit = exits.of_several(list, done), message =
    ("%d of %d batches could not be had"):format(#list, #err.record.batches) }
end

-- From a settled job to its files.
local function download(command, subject, one, dir)
  local item_of = batch_items(command)
  local written, err = one:download(dir, { on_progress = function(bytes, total, name)
    item_of(name):receiving(bytes, total)
  end })
  for _, file in pairs(written or err.results or {}) do item_of(file.name):written(file) end
  if not written and err.failures then return tell_failures(item_of, err) end
  if not written then return nil, err end
  subject.item:done(("%s in %s"):format(count(#written, "file"), dir))
  return command:print_records(written, FILE)
end

-- What is done with a job that is held, once it has settled; without waiting, what has not settled is still running.
local function finish(command, args, subject)
  local settled, err = command:wait(subject)
  if not settled then return nil, err end
  if args.directory then return download(command, subject, settled, args.directory) end
  subject.item:done(settled.status)
  return print_job(command, settled)
end

local verbs = {}

-- What is submitted: --input's fields, with what the flags say besides.
local function fields_of(args)
  local fields = args.input and texts.json("@" .. args.input, "--input") or {}
  if type(fields) ~= "table" or #fields > 0 then texts.usage "--input: an object with a job's fields is needed" end
  for _, name in ipairs { "partner", "project" } do fields[name] = args[name] or fields[name] end
  fields.name = args.job_name or fields.name
  if args.labels then fields.useQueryLabels = true end
  if #args.query > 0 then
    fields.queries = {}
    for i, word in ipairs(args.query) do
      local name, query = texts.pair(word, "-q")
      fields.queries[i] = { name = name, query = texts.of(query) }
    end
  end
  return fields
end

-- A stateful job that runs twice takes the changes away from the one that was to have them: whether a lost one was
-- submitted is for people to see.
local function submitted(command, fields)
  local look = fields.partner and ("zuora job last --partner %s --project %s"):format(
    texts.quoted(tostring(fields.partner)), texts.quoted(tostring(fields.project))) or "Zuora's own list of jobs"
  command:begins("the job", look)
  local one, err = command:client().jobs:submit(fields)
  if not one and err.unknown_outcome and fields.partner then err.exit = exits.failure end
  return one, err
end

function verbs.submit(command, args)
  if args.no_wait and args.directory then
    texts.usage "-d is for results, and with --no-wait there are none: it goes with job download"
  end
  local one, err = submitted(command, fields_of(args))
  if not one then return nil, err end
  local subject = hold(command, args, one)
  if args.no_wait then return command:print_record(one) end
  return finish(command, args, subject)
end

function verbs.wait(command, args)
  return finish(command, args, held(command, args))
end

function verbs.download(command, args)
  if args.no_wait then args.wait = 0 end
  return finish(command, args, held(command, args))
end

function verbs.status(command, args)
  return command:print_record(command:client().jobs:get(args.job_id))
end

function verbs.cancel(command, args)
  local one, err = command:client().jobs:cancel(args.job_id)
  if not one then return nil, err end
  command.progress:line(("job %s is %s"):format(one.id, one.status))
  return true
end

function verbs.last(command, args)
  local one, err = command:client().jobs:last { partner = args.partner, project = args.project }
  if not one then return nil, err end
  if not args.directory then return print_job(command, one) end
  args.wait = 0 -- a last job that is not done has no results
  return finish(command, args, hold(command, args, one))
end

function job.define(noun, parser)
  local function verb(name, summary, shared) return parser.verb(noun, name, summary, shared, verbs[name]) end
  local function of_job(name, summary, shared)
    local one = verb(name, summary, shared)
    parser.argument(one, "JOB-ID", "job_id")
    return one
  end
  local function with_directory(one)
    return one:option "-d --directory":argname "DIR":convert(parser.path)
      :description "Write each query's result into DIR, as Name.csv."
  end
  local submit = verb("submit", "submit queries as a job, wait for it, fetch its results", "format waiting settings")
  submit:option "-q --query":argname "NAME=QUERY":count "*"
    :description "A query and the name of its result; NAME=@FILE: the query is in FILE."
  submit:option "--input":argname "FILE":convert(parser.path)
    :description "A job's fields as JSON, by Zuora's names (-: standard input)."
  submit:option "--partner":argname "P":description "With --project: a stateful job, of what has changed."
  submit:option "--project":argname "P"
  submit:option "--name":argname "NAME":target "job_name":description "A name for the job."
  submit:flag "--labels":description "Call columns Account.Name and not Account: Name."
  with_directory(submit)
  with_directory(of_job("download", "wait for a job, and fetch its results", "format waiting settings")):default "."
  with_directory(of_job("wait", "wait for a job", "format time polling settings"))
  of_job("status", "a job as it is now", "format settings")
  of_job("cancel", "cancel a job", "settings")
  local last = verb("last", "the last completed job of a partner and project", "format settings")
  last:option "--partner":argname "P":count(1)
  last:option "--project":argname "P":count(1)
  with_directory(last)
end

return job
