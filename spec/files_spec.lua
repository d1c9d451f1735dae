local support = require "spec.support"

describe("client.files", function()
  local sim, client, file_id, directory, path

  setup(function()
    sim = support.simulator()
    client = support.quick_client(sim)
    local job = assert(client.jobs:submit { queries = { { name = "a", query = "select Id, Name from Account" } } })
    file_id = assert(job:wait(support.soon)).batches[1].fileId
  end)
  teardown(function()
    client:close()
    sim:stop()
  end)
  before_each(function()
    sim:heal()
    sim:forget()
    directory = support.scratch("files")
    path = directory .. "/file.csv"
  end)

  local whole

  it("fetches a file", function()
    local written = assert(client.files:download(file_id, path))
    whole = support.read(path)
    assert.equal(1, #written.request_ids)
    written.request_ids = nil
    assert.same({ path = path, bytes = #whole, records = 3 }, written)
    assert.same({ "file.csv" }, support.listing(directory))
    assert.equal("gzip", support.sent(sim, "GET", "/v1/files/")[1].headers["accept-encoding"])
  end)

  it("is read as rows, once all of it is here, and leaves nothing behind", function()
    local names = {}
    for row in assert(client.files:rows(file_id)) do names[#names + 1] = row["Account: Name"] end
    assert.same({ "Ærøskøbing \"Ferry\", Ltd", "Line\nBreak AG", "日本 GmbH" }, names)
    sim:fault { on = "GET /v1/files/*", kind = "cut", after = 20, times = 99 }
    local it, err = client.files:rows(file_id)
    assert.is_nil(it)
    assert.equal("incomplete", err.kind)
    local nowhere <close> = support.client(sim, { tmpdir = "/nowhere" })
    sim:heal()
    err = select(2, nowhere.files:rows(file_id))
    assert.equal("file", err.kind)
    assert.matches("/nowhere: No such file", err.message)
  end)

  it("tells of purged and unknown files", function()
    local _, err = client.files:download("nonesuch", path)
    assert.equal(404, err.status)
    assert.matches("nonesuch", err.message)
    assert.same({}, support.listing(directory))
  end)

  it("gives a file the name that the server gives it, made safe, in a directory", function()
    local written = assert(client.files:download(file_id, { directory = directory .. "/" }))
    assert.equal(directory .. "/a.csv", written.path)
    assert.same({ "a.csv" }, support.listing(directory))
    for disposition, name in pairs {
      ["attachment; filename*=UTF-8''%C3%86r%C3%B8.csv"] = "Ærø.csv",
      ['attachment; filename="../../x.csv"'] = "_.._x.csv",
      ["attachment"] = file_id .. ".csv",
    } do
      sim:fault { on = "GET /v1/files/*", kind = "status", status = 200, body = "a,b\n1,2\n",
        headers = { ["Content-Type"] = "text/csv", ["Content-Disposition"] = disposition } }
      assert.equal(directory .. "/" .. name, assert(client.files:download(file_id, { directory = directory })).path)
    end
    -- What is there under that name may be another file.
    assert.equal(directory .. "/a-2.csv", assert(client.files:download(file_id, { directory = directory })).path)
    assert.equal(directory .. "/a-3.csv", assert(client.files:download(file_id, { directory = directory })).path)
    support.shell(("cd %s && mkfifo a-4.csv && ln -s nowhere a-5.csv && mkdir a-6.csv"):format(directory))
    assert.equal(directory .. "/a-7.csv", assert(client.files:download(file_id, { directory = directory })).path)
    assert.equal(whole, support.read(directory .. "/a-7.csv"))
    assert.equal("file", select(2, client.files:download(file_id, { directory = directory .. "/missing" })).kind)
  end)

  it("says whether a file can be had", function()
    local status = assert(client.files:status(file_id))
    assert.is_true(status.accessible)
    assert.equal("RESTORED", status.status)
    local _, err = client.files:status "nonesuch"
    assert.equal(404, err.status)
    sim:fault { on = "GET *", kind = "status", status = 200, body = '{"success":true}' }
    assert.equal("json", select(2, client.files:status(file_id)).kind)
  end)
end)
