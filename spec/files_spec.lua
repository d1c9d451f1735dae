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
    assert.same({ path = path, bytes = #whole, records = 3 }, written)
    assert.same({ "file.csv" }, support.listing(directory))
    assert.equal("identity", support.sent(sim, "GET", "/v1/files/")[1].headers["accept-encoding"])
  end)

  for _, fault in ipairs { { kind = "cut" }, { kind = "cut", after = 50 }, { kind = "reset", after = 50 },
    { kind = "length" }, { kind = "cut", headers_after = 30 }, { kind = "status", status = 503 },
    { kind = "token" } } do
    it(("is whole after a fault: %s %s"):format(fault.kind, fault.after or fault.status or ""), function()
      fault.on = "GET /v1/files/*"
      sim:fault(fault)
      assert(client.files:download(file_id, path))
      assert.equal(whole, support.read(path))
      assert.equal(2, #support.sent(sim, "GET", "/v1/files/"))
    end)
  end

  for name, fault in pairs {
    incomplete = { kind = "unframed" }, transport = { kind = "cut", after = 50 },
    http = { kind = "status", status = 200, body = "<html><title>Log in</title>", headers = { ["Content-Type"] = "text/html" } },
    api = { kind = "status", status = 200, body = '{"success":false,"reasons":[{"code":50000040,"message":"gone"}]}' },
    auth = { kind = "status", status = 401 },
  } do
    it("is an error of kind " .. name .. ", and no file, when it cannot be proven whole", function()
      fault.on, fault.times = "GET /v1/files/*", 99
      sim:fault(fault)
      support.write(path, "before")
      local written, err = client.files:download(file_id, path)
      assert.is_nil(written)
      assert.equal(name, err.kind)
      assert.equal("before", support.read(path))
      assert.same({ "file.csv" }, support.listing(directory))
    end)
  end

  it("is read as rows, once all of it is here, and leaves nothing behind", function()
    local names = {}
    for row in assert(client.files:rows(file_id)) do names[#names + 1] = row["Account: Name"] end
    assert.same({ "Ærøskøbing \"Ferry\", Ltd", "Line\nBreak AG", "日本 GmbH" }, names)
    sim:fault { on = "GET /v1/files/*", kind = "cut", after = 50, times = 99 }
    local it, err = client.files:rows(file_id)
    assert.is_nil(it)
    assert.equal("transport", err.kind)
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

  it("tells what the disk says before anything is sent", function()
    local _, err = client.files:download(file_id, directory .. "/no/such/file")
    assert.equal("file", err.kind)
    assert.matches("No such file or directory", err.message)
    _, err = client.files:download(file_id, directory)
    assert.equal("file", err.kind)
    assert.equal(0, #sim:journal())
  end)

  it("stops when no byte comes any more, and starts again", function()
    local impatient <close> = support.client(sim, { stall_timeout = 0.1 })
    sim:fault { on = "GET /v1/files/*", kind = "stall", after = 50 }
    assert(impatient.files:download(file_id, path))
    assert.equal(whole, support.read(path))
  end)

  it("leaves nothing behind when its task is cancelled", function()
    sim:fault { on = "GET /v1/files/*", kind = "stall", after = 50 }
    local patient <close> = support.client(sim)
    patient:run(function()
      local task = patient:spawn(function() patient.files:download(file_id, path) end)
      patient:sleep(0.1)
      assert.same({ "file.csv.part" }, support.listing(directory))
      task:cancel()
    end)
    assert.same({}, support.listing(directory))
  end)
end)
