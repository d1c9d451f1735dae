-- What comes where a file was asked for, and is none: it is told by its bytes, under whatever type and in
-- whatever coding, and each call that brings a file says what it said.

local support = require "spec.support"
local zlib = require "zlib"

local FAILURES = {
  { '{"success":false,"reasons":[{"code":50000040,"message":"gone for good"}]}', "50000040" },
  { '{\n  "processId": "P1",\n  "reasons": [ {"code": 50000040, "message": "gone for good"} ],\n  "success" : false }',
    "50000040" },
  { '{"reasons":[{"code":"SystemError","message":"gone for good"}]}', "SystemError" },
  { '{"message":"gone for good","errorCode":"ZAN-REST-ERROR"}', "ZAN-REST-ERROR" },
  { '{"links":null,"success":"false","response":"{\\"message\\":\\"gone for good\\",\\"errorCode\\":\\"ZAN-1\\"}"}',
    "ZAN-1" },
  { '{"faultcode":"fns:X","faultstring":"gone for good"}', "fns:X" },
  { '[{"Success":false,"Errors":[{"Code":"INVALID_VALUE","Message":"gone for good"}]}]', "INVALID_VALUE" },
  { '\239\187\191{"success":false,"message":"gone for good"}' },
  { '<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code><Message>gone for good</Message></Error>', "NoSuchKey" },
  { '<zanResponse success="false"><response>{"message":"gone for good","errorCode":"Z"}</response></zanResponse>', "Z" },
  { "<security:max-object-size>gone for good</security:max-object-size>" },
  { "<!DOCTYPE html>\n<html><head><title>gone for good</title></head></html>" },
  { "  <HTML><title>gone for good</title></HTML>" },
  -- Longer than what is looked at.
  { '{"message":"gone for good","reasons":[{"code":1,"message":"' .. ("x"):rep(20000) .. '"}],"success":false}', "1" },
}

local TYPES = { "text/csv", "text/plain", "application/octet-stream", "", "text/csv; charset=utf-16" }

local JOB = '{"id":"j","status":"completed","batches":[{"name":"A","status":"completed","recordCount":0,%s}]}'

local function packed(text) return zlib.deflate(6, 31)(text, "finish") end

local function utf16(text) return "\255\254" .. text:gsub(".", "%0\0") end

describe("in the place of a file", function()
  local sim, client, directory, path

  setup(function()
    sim = support.simulator()
    client = support.quick_client(sim, { retries = 0 })
    client.jobs:get "x" -- the token
  end)
  teardown(function()
    client:close()
    sim:stop()
  end)
  before_each(function()
    sim:heal()
    sim:forget()
    directory = support.scratch "refusals"
    path = directory .. "/file.csv"
  end)

  local function reply(on, status, body, media_type, more)
    sim:fault { on = on, kind = "garbage", raw = ("HTTP/1.1 %d X\r\n%s%sContent-Length: %d\r\n\r\n%s"):format(status,
      media_type ~= "" and "Content-Type: " .. media_type .. "\r\n" or "", more or "", #body, body) }
  end

  local function job_of(files)
    sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 200, body = JOB:format(files) }
    return assert(client.jobs:get "j")
  end

  local CALLS = {
    ["client.files:download"] = function() return client.files:download("f", path) end,
    ["client.files:rows"] = function() return client.files:rows "f" end,
    ["client.reportruns:export"] = function() return client.reportruns:export("r", path) end,
    ["client.reportruns:export, raw"] = function() return client.reportruns:export("r", path, { raw = true }) end,
    ["client.reportruns:rows"] = function() return client.reportruns:rows "r" end,
    ["batch:download of no records"] = function() return job_of('"fileId":"f"'):batch("A"):download(path) end,
    ["job:download of no records"] = function() return job_of('"fileId":"f"'):download(directory) end,
  }

  for name, call in pairs(CALLS) do
    it("an error is found by its bytes, whatever its type: " .. name, function()
      for _, failure in ipairs(FAILURES) do
        for _, media_type in ipairs(TYPES) do
          local body, code = failure[1], failure[2]
          local job = name:find "^batch" or name:find "^job"
          reply(job and "GET /v1/files/*" or "GET *", 200, body, media_type)
          local written, err = call()
          local case = ("%s: %s: %s"):format(media_type, body:sub(1, 60), tostring(err))
          assert.is_nil(written, case)
          assert.is_true(err.kind == "api" or err.kind == "http" and body:lower():find "<html" ~= nil, case)
          assert.matches("gone for good", err.message)
          assert.equal(code, not job and err.code or code)
          assert.same({}, support.listing(directory))
        end
      end
    end)
  end

  it("an error is found in UTF-16 as well, and in a coding that was agreed on", function()
    reply("GET *", 200, utf16 '{"success":false,"message":"gone for good"}', "text/csv; charset=utf-16")
    assert.matches("gone for good", select(2, client.reportruns:export("r", path)).message)
    reply("GET *", 200, packed '{"success":false,"message":"gone for good"}', "text/csv", "Content-Encoding: gzip\r\n")
    assert.matches("gone for good", select(2, client.files:download("f", path)).message)
  end)

  it("an error is found in a packed file, and in XML of any name space", function()
    for _, failure in ipairs(FAILURES) do
      reply("GET *", 200, packed(failure[1]), "application/gzip")
      local _, err = client.files:download("f", path)
      assert.is_truthy(err, failure[1]:sub(1, 60))
      if #failure[1] < 4096 then assert.matches("gone for good", err.message) end
    end
    for _, page in ipairs { "<Fault>no</Fault>", '<soap:Envelope xmlns:soap="s"><soap:Body/></soap:Envelope>', "<fns:Fault/>" } do
      reply("GET *", 200, page, "text/csv")
      local written, err = client.files:download("f", path)
      assert.is_nil(written)
      assert.equal("http", err.kind)
      assert.matches("a page of markup", err.message)
    end
    reply("GET *", 200, packed "a,b\n1,2\n", "application/gzip")
    assert.equal(1, assert(client.files:download("f", path)).records)
  end)

  it("an error is told with all that helps to find it again", function()
    reply("GET *", 200, FAILURES[1][1], "text/csv", "Zuora-Request-Id: R9\r\n")
    local _, err = client.files:download("f", path)
    assert.equal("R9", err.request_id)
    assert.equal(200, err.status)
    assert.matches("gone for good", err.body)
    assert.equal("files.get", err.operation)
  end)

  it("an error that will pass is asked for again, and so is the file of a broken connection", function()
    local patient <close> = support.quick_client(sim)
    patient.jobs:get "x"
    local job = assert(assert(patient.jobs:submit { queries = { A = "select Id from Account" } }):wait(support.soon))
    local id = job.batches[1].fileId
    reply("GET /v1/files/*", 200, '{"reasons":[{"code":50000061,"message":"soon"}]}', "text/csv", 'ETag: "a"\r\n')
    assert.equal(3, assert(patient.files:download(id, path)).records)
    assert.is_nil(support.sent(sim, "GET", "/v1/files/")[2].headers.range)
    -- One that only the end of its connection delimits, and whose end is proven.
    local body = '{"success":false,"message":"gone for good"}'
    sim:fault { on = "GET /v1/files/*", kind = "garbage", raw = "HTTP/1.1 200 X\r\nContent-Type: text/csv\r\n\r\n" .. body }
    sim:fault { on = "GET /v1/files/*", kind = "garbage",
      raw = ("HTTP/1.1 416 X\r\nContent-Range: bytes */%d\r\nContent-Length: 0\r\n\r\n"):format(#body) }
    local _, err = patient.files:download("f", path)
    assert.matches("gone for good", err.message)
    assert.equal(3, assert(patient.files:download(id, path)).records)
  end)

  it("an error is found in each segment", function()
    local batch = job_of('"segments":["s1","s2"]'):batch "A"
    reply("GET /v1/files/s1", 200, "Id\n", "text/csv")
    reply("GET /v1/files/s2", 200, FAILURES[1][1], "text/csv")
    local written, err = batch:download(path)
    assert.is_nil(written)
    assert.equal("50000040", err.code)
    assert.same({}, support.listing(directory))
  end)

  it("JSON of any other kind is no delimited file either", function()
    for _, body in ipairs { '{"id":"j","status":"executing"}', "[]", "{}" } do
      reply("GET *", 200, body, "text/csv")
      local written, err = client.files:download("f", path)
      assert.is_nil(written)
      assert.equal("http", err.kind)
    end
  end)

  it("a file is a file, whatever stands in it", function()
    for _, body in ipairs { 'success,message\nfalse,"{""success"":false}"\n', '"{success}",code\n1,2\n',
      "<Amount>,reasons\n1,2\n", "{a},b\n{,1\n", "", "Id\n" } do
      reply("GET *", 200, body, "text/csv")
      assert(client.files:download("f", path))
      assert.equal(body, support.read(path))
    end
  end)

  it("lines of JSON are the result of a query that asked for them", function()
    local job = assert(assert(client.queries:submit { query = "select Id from Account", outputFormat = "JSON" })
      :wait(support.soon))
    for _, body in ipairs { '{"success":false,"message":"a row"}\n', '{"message":"m","errorCode":"e"}\n{"message":"n"}\n' } do
      reply("GET /_bucket/*", 200, body, "application/octet-stream")
      assert(job:download(path))
      assert.equal(body, support.read(path))
    end
    reply("GET /_bucket/*", 200, FAILURES[1][1], "application/octet-stream")
    assert.equal("50000040", select(2, job:download(path)).code)
  end)

  it("a refusal that comes packed is unpacked before it is read", function()
    local words = '{"reasons":[{"code":50000070,"message":"Limit exceeded for the minute, retry after 17 seconds"}]}'
    for name, call in pairs(CALLS) do
      local job = name:find "^batch" or name:find "^job"
      for _, status in ipairs { 404, 429, 200 } do
        reply(job and "GET /v1/files/*" or "GET *", status, packed(words), "application/json",
          "Content-Encoding: gzip\r\n")
        local _, err = call()
        assert.matches("Limit exceeded", err.message)
        if not name:find "^job" then
          assert.equal("50000070", err.code)
          assert.equal(17, err.retry_after)
          assert.equal(words, err.body)
        end
      end
    end
  end)

  it("a packed refusal that is broken, or bursts, is told as far as it goes", function()
    reply("GET *", 404, packed '{"reasons":[{"code":1,"message":"x"}]}':sub(1, -12), "application/json",
      "Content-Encoding: gzip\r\n")
    local _, err = client.files:download("f", path)
    assert.equal(404, err.status)
    local small <close> = support.client(sim, { memory_limit = 100000, retries = 0 })
    small.jobs:get "x"
    reply("GET *", 404, packed((" "):rep(50000000)), "application/json", "Content-Encoding: gzip\r\n")
    collectgarbage()
    local before = collectgarbage "count"
    _, err = small.files:download("f", path)
    assert.equal(404, err.status)
    assert.is_true(collectgarbage "count" - before < 5000)
  end)
end)
