--- Where reports come from: a run of each, by its name or id.

local report = {}

local function id_of(client, item, options)
  if item.report:match "^%x+$" and #item.report == 32 then return item.report end
  local found, err = client.reports:find(item.report, options)
  return found and found.id, err
end

function report.submit(client, item, read, options)
  local id, err = id_of(client, item, options)
  if not id then return nil, err end
  local run, problem = client.reportruns:start(id, { view = item.view, filters = item.filters,
    idempotency_key = read.idempotency_key, entity_id = options.entity_id })
  if not run then return nil, problem end
  return run.id
end

function report.wait(client, read, options) return client.reportruns:wait(read.job_id, options) end

function report.fetch(client, read, path, options)
  local written, err = client.reportruns:download(read.job_id, path, { verify = true, entity_id = options.entity_id })
  if written then written.record_count = written.records end
  return written, err
end

function report.verdict(err)
  if err.kind == "not_found" or err.kind == "ambiguous" then return "final" end
  if err.kind == "failed" or err.kind == "cancelled" or err.status == 404 then return "again" end
  return "later"
end

function report.refused_field() return nil end

return report
