--- Where Data Queries come from.

local data_query = {}

function data_query.submit(client, _, read, options)
  local job, err = client.queries:submit { query = read.query, idempotency_key = read.idempotency_key,
    entity_id = options.entity_id }
  if not job then return nil, err end
  return job.id
end

function data_query.wait(client, read, options) return client.queries:wait(read.job_id, options) end

function data_query.fetch(client, read, path, options)
  local job, err = client.queries:wait(read.job_id, options)
  if not job then return nil, err end
  local written, problem = job:download(path, { resume = true, outputFormat = "CSV", entity_id = options.entity_id })
  if written and job.outputRows ~= nil then written.record_count = written.records end
  return written, problem
end

function data_query.verdict(err)
  if err.kind == "failed" or err.kind == "cancelled" or err.status == 404 then return "again" end
  return "later"
end

function data_query.refused_field() return nil end

return data_query
