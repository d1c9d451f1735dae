-- zuora.tap.config, zuora.tap.catalogue, zuora.tap.state: what a tap is told, in tap-zuora's forms.

local config = require "zuora.tap.config"
local core = require "zuora.core"
local catalogue = require "zuora.tap.catalogue"
local state = require "zuora.tap.state"
local support = require "spec.support"
local tap = require "zuora.tap"
local world = require "spec.tap.world"
local zuora = require "zuora"

local path = support.scratch "tap-config" .. "/config.json"

local function read(given)
  support.write(path, type(given) == "table" and core.encode(given) or given)
  return tap.config(path)
end

describe("a tap's configuration", function()
  it("is tap-zuora's", function()
    local read_one = assert(read { username = "u", password = "p", start_date = "2022-10-10T00:00:00Z", api_type = "REST",
      sandbox = "true", european = "false", partner_id = "salesforce" })
    assert.same({ username = "u", password = "p" }, read_one.settings)
    assert.same({ "us1-sandbox", "us2-sandbox" }, read_one.tenants)
    assert.equal(1665360000, read_one.start)
    assert.same({}, read_one.unknown)
    assert.same({ "us1", "us2" }, assert(read { api_type = "AQUA" }).tenants)
    assert.same({ "eu" }, assert(read { api_type = "AQUA", european = true }).tenants)
    assert.same({ "eu-sandbox" }, assert(read { european = "true", sandbox = true }).tenants)
    assert.same({ client_id = "u", client_secret = "p" }, assert(read { username = "u", password = "p", auth_type = "OAUTH",
      api_type = "AQUA" }).settings)
    for _, name in ipairs { "us1", "us2", "us1-sandbox", "us2-sandbox", "eu", "eu-sandbox" } do
      assert.is_table(zuora.environments[name], name)
    end
  end)

  it("means the data centre that knows the credentials", function()
    local one <close> = world.new {}
    local other <close> = world.new { name = "tap-other", simulator = { client_secret = "another" } }
    local asked = {}
    local function make(name)
      asked[#asked + 1] = name
      return zuora.new { base_url = (name == "one" and one or other).sim.url, client_id = other.sim.client_id,
        client_secret = "another" }
    end
    local client <close> = assert(tap.find({ "one", "other" }, make))
    assert.same({ "one", "other" }, asked)
    assert.matches(other.sim.url:match "%d+$", tostring(client))
    local found, err = tap.find({ "one", "one" }, make)
    assert.is_nil(found)
    assert.equal("auth", err.kind)
    -- What is no matter of credentials is told at once; where there is no choice nothing is asked for.
    asked = {}
    one.sim:fault { on = "* /*", kind = "status", status = 500, times = "always" }
    assert.is_nil(tap.find({ "one", "other" }, function(name)
      asked[#asked + 1] = name
      return zuora.new { base_url = one.sim.url, client_id = "x", client_secret = "y", retries = 0 }
    end))
    assert.same({ "one" }, asked)
    other.sim:forget()
    tap.find({ "other" }, make):close()
    assert.same({}, other.sim:journal())
  end)

  it("has settings of ours besides", function()
    local one = assert(read { environment = "ap", client_id = "i", client_secret = "s", every = "15m", settle = "1h",
      decimals = "string", select = { "Account" }, api_type = "AQUA", odd = 1, entity_id = "", split = "id:5" })
    assert.same({ environment = "ap", client_id = "i", client_secret = "s" }, one.settings)
    assert.is_nil(one.tenants)
    assert.same({ every = "15m", settle = "1h", split = "id:5" }, one.plan)
    assert.same({ "string", { "Account" }, { "odd" } }, { one.decimals, one.select, one.unknown })
    assert.is_nil(assert(read {}).start)
  end)

  it("is refused with the place of what is wrong, and without a secret", function()
    for words, given in pairs { ["start_date: a time such as"] = { start_date = "soon" }, ["api_type: one of AQUA, REST"] = {
      api_type = "SOAP" }, ["auth_type: one of"] = { auth_type = "NONE" }, ["sandbox: true or false"] = { sandbox = "yes",
      api_type = "AQUA" }, ["select: a list"] = { select = "Account" }, ["decimals: one of"] = { decimals = "float" },
      ["no JSON"] = '{"password": "hush" "', ["a JSON object expected"] = '"hush"' } do
      local one, err = read(given)
      assert.is_nil(one)
      assert.equal("plan", err.kind)
      assert.matches(words, err.message, nil, true)
      assert.matches(path, err.message, nil, true)
      assert.is_nil(err.message:find "hush")
    end
    assert.matches("cannot be read", select(2, tap.config(path .. ".not")).message)
    assert.has_error(function() config.object(path .. ".not") end)
  end)
end)

describe("a tap's catalogue", function()
  it("is tap-zuora's, key for key", function()
    local here <close> = world.new { simulator = { objects = {
      Contact = { columns = { "Id" }, rows = {} },
      Account = { columns = { "Id", "Balance", "UpdatedDate", "CreatedDate", "ContactId", "Status" }, rows = {} },
      Bare = { columns = { "Name" }, rows = {} } } } }
    local warned = {}
    local found = assert(tap.discover(here.client, { log = function(line) warned[#warned + 1] = line end }))
    assert.same({ "WARNING Bare is left out: its Id cannot be exported" }, warned)
    assert.equal(2, #found.streams)
    local account = found.streams[1]
    assert.same({ "Account", "Account", { "Id" }, "UpdatedDate", "INCREMENTAL" }, { account.tap_stream_id, account.stream,
      account.key_properties, account.replication_key, account.replication_method })
    assert.same({ ["table-key-properties"] = { "Id" }, ["forced-replication-method"] = "INCREMENTAL",
      ["valid-replication-keys"] = { "UpdatedDate" }, inclusion = "available" }, account.metadata[1].metadata)
    local properties = account.schema.properties
    assert.same({ type = { "number", "null" } }, properties.Balance)
    assert.same({ type = { "string", "null" }, format = "date-time" }, properties.CreatedDate)
    assert.same({ type = { "boolean", "null" } }, properties.Deleted)
    assert.is_false(account.schema.additionalProperties)
    local by_name = {}
    for _, one in ipairs(account.metadata) do by_name[one.breadcrumb[2] or ""] = one.metadata end
    assert.same({ inclusion = "automatic" }, by_name.Id)
    assert.same({ inclusion = "available" }, by_name.Balance)
    assert.same({ inclusion = "available", ["tap-zuora.joined_object"] = "Contact" }, by_name.ContactId)
    assert.same({ inclusion = "available", ["tap-zuora.joined_object"] = "BillToContact" }, by_name.BillToContactId)
    local text = tap.encode(found)
    assert.matches('"breadcrumb": []', text, nil, true)
    assert.matches('"replication_key": null', text, nil, true)
    assert.matches("there is no object 'Nothing'", select(2, tap.discover(here.client, { select = { "Nothing" } })).message)
  end)

  local function entry(of, properties)
    local metadata = { { breadcrumb = {}, metadata = of } }
    local schema = { type = "object", properties = {} }
    for name, one in pairs(properties) do
      schema.properties[name] = one[1]
      metadata[#metadata + 1] = { breadcrumb = { "properties", name }, metadata = one[2] }
    end
    return { streams = { { tap_stream_id = "Account", stream = "Account", key_properties = { "Id" }, schema = schema,
      metadata = metadata, replication_key = "UpdatedDate", replication_method = "INCREMENTAL" } } }
  end
  local TEXT, WHEN = { type = { "null", "string" } }, { anyOf = { { type = "null" }, { type = "string", format = "date-time" } } }
  local function columns(given)
    local list = {}
    for i, property in ipairs(catalogue.selected(given)[1].properties) do list[i] = property.column .. " " .. property.kind end
    return list
  end

  it("says what is selected, as texts, too, and by what others write", function()
    local all = { Id = { TEXT, { inclusion = "automatic" } }, UpdatedDate = { WHEN, { inclusion = "automatic" } },
      Name = { TEXT, { inclusion = "available", selected = "true" } }, No = { TEXT, { selected = "false", inclusion = "available" } },
      Never = { TEXT, { selected = true, inclusion = "unsupported" } }, Amount = { { type = "number" }, { selected = true } },
      Usual = { { type = "integer" }, { ["selected-by-default"] = true } }, Left = { TEXT, {} },
      BillToContactId = { TEXT, { selected = true, ["tap-zuora.joined_object"] = "BillToContact" } } }
    assert.same({ "Amount number", "BillToContact.Id string", "Id string", "Name string", "UpdatedDate time", "Usual integer" },
      columns(entry({ selected = "true" }, all)))
    assert.same({}, catalogue.selected(entry({ selected = "false" }, all)))
    assert.same({}, catalogue.selected(entry({}, all)))
    local old = entry({}, { Id = { TEXT, {} }, UpdatedDate = { WHEN, {} }, Name = { { type = "string", selected = true } } })
    old.streams[1].schema.selected, old.streams[1].metadata = true, nil
    assert.same({ "Id string", "Name string", "UpdatedDate time" }, columns(old))
    assert.is_false(catalogue.selected(entry({ selected = true }, all))[1].is_bare)
    all.Deleted = { { type = "boolean" }, { selected = true } }
    assert.is_true(catalogue.selected(entry({ selected = true }, all))[1].deleted)
  end)

  it("says how a stream is read", function()
    local all = { Id = { TEXT, {} }, UpdatedDate = { WHEN, {} }, TransactionDate = { WHEN, {} } }
    local function cursor(of) return catalogue.selected(entry(of, all))[1].cursor end
    assert.equal("UpdatedDate", cursor { selected = true })
    assert.equal("TransactionDate", cursor { selected = true, ["replication-key"] = "TransactionDate" })
    assert.is_false(cursor { selected = true, ["replication-method"] = "FULL_TABLE" })
    assert.is_true(catalogue.selected(entry({ selected = true }, all))[1].is_bare)
  end)

  it("is refused when it is none", function()
    local odd = entry({}, { Id = { TEXT, {} } })
    odd.streams[1].metadata[1] = { breadcrumb = 7, metadata = {} }
    for words, given in pairs { ["no streams"] = {}, ["a stream with tap_stream_id"] = { streams = { { stream = "x" } } },
      ["a stream with"] = { streams = { 7 } }, ["Account: metadata: objects"] = odd,
      ["Account: property 'Id': an object"] = entry({ selected = true }, { Id = { true, {} } }),
      ["no property Id"] = entry({ selected = true }, { UpdatedDate = { WHEN, {} } }),
      ["no property 'UpdatedDate'"] = entry({ selected = true }, { Id = { TEXT, {} } }) } do
      local results, err = tap.run({}, given, { write = print })
      assert.is_nil(results)
      assert.equal("plan", err.kind)
      assert.matches(words, err.message)
    end
  end)
end)

describe("a tap's state", function()
  local stream = { id = "Account", cursor = "UpdatedDate" }

  it("is tap-zuora's, with whatever else there is in it", function()
    local one = state.read { current_stream = "B", bookmarks = { Account = { UpdatedDate = "2022-10-15T00:00:00.000000Z", version = 7,
      file_ids = { "x" } }, Other = { TransactionDate = "2022-10-15 01:00:00" } } }
    assert.equal(1665792000, one:bookmark(stream))
    assert.equal(1665795600, one:bookmark { id = "Other", cursor = "TransactionDate" })
    assert.is_nil(one:bookmark { id = "None", cursor = "UpdatedDate" })
    one:set(stream, 1665795600)
    one:set({ id = "New", cursor = "UpdatedOn" }, 0)
    assert.same({ bookmarks = { Account = { UpdatedDate = "2022-10-15T01:00:00Z", version = 7 },
      Other = { TransactionDate = "2022-10-15 01:00:00" }, New = { UpdatedOn = "1970-01-01T00:00:00Z" } } }, one.value)
  end)

  it("may be of the older form, or none", function()
    assert.equal(1665792000, state.read { Account = { UpdatedDate = "2022-10-15T00:00:00Z" }, current_stream = "x" }:bookmark(stream))
    assert.same({ bookmarks = {} }, state.read(nil).value)
    assert.is_nil(state.read { bookmarks = { Account = 7 } }:page(stream, "q"))
    assert.same({ bookmarks = {} }, state.read({}).value)
    for _, given in ipairs { { bookmarks = 1 }, { bookmarks = { Account = { UpdatedDate = "soon" } } } } do
      assert.has_error(function() state.read(given):bookmark(stream) end)
    end
  end)

  it("begins with the stream that a run has ended at, and leaves out none", function()
    local a, b, c = { id = "a" }, { id = "b" }, { id = "c" }
    assert.same({ b, c, a }, state.read { current_stream = "b", bookmarks = {} }:order { a, b, c })
    assert.same({ a, b, c }, state.read { current_stream = "gone", bookmarks = {} }:order { a, b, c })
  end)

  it("that is younger than what Zuora's replicas may have is read from before", function()
    local here <close> = world.new {}
    local into = world.loader()
    local theirs = os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() - 60)
    into.state = { bookmarks = { Thing = { UpdatedDate = theirs } } }
    assert(here:run(into, { plan = { every = 3600, settle = 3 * 3600 } }))
    assert.equal(20, into.written)
    assert.equal(theirs, into.state.bookmarks.Thing.UpdatedDate)
  end)
end)
