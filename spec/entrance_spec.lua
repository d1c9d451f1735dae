-- The one line that a public method begins with: what it checks, and what it gives.

local entrance = require "zuora.resources.entrance"
local record = require "zuora.resources.record"

describe("zuora.resources.entrance", function()
  local offered -- what the caller was asked for
  local caller = { check_offered = function(_, where, operation) offered = { where, operation } end }

  local GET = { safe = true, result = "json", parameters = { { name = "id", type = "id" } } }
  local MAKE = { safe = false, result = "json", parameters = {} }
  local SEARCH = { safe = true, result = "json", parameters = { { name = "query", type = "text" } } }
  local FILE = { safe = true, result = "file", parameters = { { name = "id", type = "id" } } }

  local METHODS = {
    get = { GET, "thing_id" },
    make = { MAKE, fields = "fields", options = { size = "count!" } },
    search = { SEARCH, "text", "names:string*" },
    download = { FILE, "thing_id", "path:line", options = { raw = "boolean" } },
    check = { GET, "thing_id", check = function(where, options, id) error(("%s %s %s"):format(where, options.timeout, id), 0) end },
    name = { "name:string" },
    count = {},
  }

  local Things, Thing = {}, {}
  local enter = entrance.collection(Things, "client.things", METHODS)
  local enter_thing = entrance.record(Thing, "thing", METHODS)
  local things = setmetatable({}, record.metatable("Things", Things, { caller = caller }))
  local thing = setmetatable({ id = "T1" }, record.metatable("Thing", Thing, { caller = caller }))
  local context = debug.getmetatable(things)

  before_each(function() offered = nil end)

  local function gives(...)
    local values = table.pack(...)
    return { values[1] == context or values[1] == debug.getmetatable(thing), table.unpack(values, 2, values.n) }
  end

  local function raises(message, f, ...)
    local ok, problem = pcall(f, ...)
    assert.is_false(ok)
    assert.matches(message, problem)
  end

  it("gives a collection's method the context, the arguments and the options", function()
    local options = { timeout = 5 }
    assert.same({ true, "x", options }, gives(enter(things, "get", "x", options)))
    assert.same({ true, "x", {} }, gives(enter(things, "get", "x")))
    assert.same({ true, "x", "/a", {} }, gives(enter(things, "download", "x", "/a")))
    assert.same({ true, { size = 1 } }, gives(enter(things, "make", { size = 1 })))
    assert.same({ true, "x" }, gives(enter(things, "name", "x")))
    assert.same({ true }, gives(enter(things, "count")))
  end)

  it("gives a record's method its id in the place of the argument, and the record", function()
    assert.same({ true, "T1", {}, thing }, gives(enter_thing(thing, "get")))
    assert.same({ true, "T1", "/a", { raw = true }, thing }, gives(enter_thing(thing, "download", "/a", { raw = true })))
    assert.same({ true, { size = 1 }, thing }, gives(enter_thing(thing, "make", { size = 1 })))
    assert.same({ true, "x", nil, thing }, gives(enter_thing(thing, "name", "x")))
  end)

  it("checks what it is called on", function()
    raises("client%.things:get was called without its object: write it with a colon", enter, thing, "get", "x")
    raises("thing:get was called without its object", enter_thing, {}, "get")
    raises("thing:count was called without its object", enter_thing, nil, "count")
  end)

  it("checks the arguments: what the method is about by the operation's own type", function()
    raises("'thing_id' to client%.things:get %(id of letters", enter, things, "get", "a/b")
    raises("'text' to client%.things:search %(non%-empty string without control", enter, things, "search", "a\nb", { "x" })
    raises("'names' to client%.things:search %(list", enter, things, "search", "a/b", {})
    raises("'names' to client%.things:search %(non%-empty string expected, got number", enter, things, "search", "a", { 5 })
    raises("'path' to client%.things:download", enter, things, "download", "x", "")
    raises("'id' to thing:get %(id of letters", enter_thing, setmetatable({ id = "a/b" }, debug.getmetatable(thing)), "get")
  end)

  it("checks the options: those of the operation, and the method's own", function()
    for _, name in ipairs { "get", "download" } do
      raises("'idempotency_key' to client%.things:" .. name, enter, things, name, "x", name == "get" and { idempotency_key = "k" }
        or "/a", { idempotency_key = "k" })
    end
    assert.same({ true, { size = 1, idempotency_key = "k" } }, gives(enter(things, "make", { size = 1, idempotency_key = "k" })))
    local file = { on_progress = print }
    assert.same({ true, "x", "/a", file }, gives(enter(things, "download", "x", "/a", file)))
    raises("'on_progress' to client%.things:get %(unknown option", enter, things, "get", "x", file)
    raises("'raw' to client%.things:get %(unknown option", enter, things, "get", "x", { raw = true })
    raises("'size' to client%.things:make %(missing", enter, things, "make", {})
    raises("'fields' to client%.things:make %(table expected, got nil", enter, things, "make")
    raises("'options' to client%.things:get %(table expected, got boolean", enter, things, "get", "x", false)
    raises("^client%.things:check 7 x$", enter, things, "check", "x", { timeout = 7 })
  end)

  it("asks whether Zuora offers the operation on these hosts, once all else is right", function()
    enter(things, "get", "x")
    assert.same({ "client.things:get", GET }, offered)
    offered = nil
    pcall(enter, things, "get", "x", { timeout = -1 })
    enter(things, "name", "x")
    assert.is_nil(offered)
  end)

  it("is there for what takes options only, too", function()
    local take = entrance.options("client:ask", { fields = "call", options = { path = "text!" } })
    assert.same({ path = "/" }, take { path = "/" })
    raises("'call' to client:ask %(table expected, got nil", take)
    raises("'path' to client:ask %(missing", take, {})
  end)
end)
