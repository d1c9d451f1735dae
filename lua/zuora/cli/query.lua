--- zuora query: Data Query.

local texts = require "zuora.cli.texts"

local query = {}

local JOB = { "id", "queryStatus", "outputRows", "createdOn", "query" }

local function hold(command, thing)
  return command:holds("query job " .. thing.id, thing, { "query", "download", thing.id })
end

local function held(command, args)
  return hold(command, command:known(command:client().queries, args.job_id))
end

local function submitted(command, args)
  command:begins("the query", "zuora query list")
  return command:client().queries:submit { query = texts.of(args.query), readDeleted = args.deleted }
end

local verbs = {}

function verbs.run(command, args)
  local job, err = submitted(command, args)
  if not job then return nil, err end
  return command:fetch(hold(command, job))
end

function verbs.submit(command, args)
  local job, err = submitted(command, args)
  if not job then return nil, err end
  hold(command, job)
  return command:print_record(job)
end

function verbs.wait(command, args)
  local subject = held(command, args)
  local job, err = command:wait(subject)
  if not job then return nil, err end
  subject.item:done(job.queryStatus)
  return command:print_record(job)
end

function verbs.download(command, args)
  return command:fetch(held(command, args))
end

function verbs.status(command, args)
  return command:print_record(command:client().queries:get(args.job_id))
end

function verbs.cancel(command, args)
  local job, err = command:client().queries:cancel(args.job_id)
  if not job then return nil, err end
  command.progress:line(("query job %s is %s"):format(job.id, job.queryStatus))
  return true
end

function verbs.list(command, args)
  local jobs, err = command:client().queries:list { status = args.status, page_size = args.limit }
  if not jobs then return nil, err end
  return command:print_records(jobs, JOB)
end

function query.define(noun, parser)
  local function verb(name, summary, shared) return parser.verb(noun, name, summary, shared, verbs[name]) end
  local function of_query(name, summary, shared)
    local one = verb(name, summary, shared)
    parser.argument(one, "QUERY", "query"):description "A select, or @FILE: it is in FILE."
    one:flag "--deleted":description "Read deleted records, too."
    return one
  end
  local function of_job(name, summary, shared)
    local one = verb(name, summary, shared)
    parser.argument(one, "JOB-ID", "job_id")
    return one
  end
  of_query("run", "run a query, wait for it, and write its rows", "rows time polling settings")
  of_query("submit", "submit a query, and do not wait for it", "format settings")
  of_job("download", "wait for a query job, and write its rows", "rows waiting settings")
  of_job("wait", "wait for a query job", "format time polling settings")
  of_job("status", "a query job as it is now", "format settings")
  of_job("cancel", "cancel a query job", "settings")
  local list = verb("list", "the newest query jobs", "format settings")
  list:option "--status":choices { "submitted", "accepted", "in_progress", "completed", "failed", "cancelled" }
  list:option "--limit":argname "N":convert(parser.count):description "No more than so many (20)."
end

return query
