-- zuora.extract.plan, zuora.extract.places: what a plan may say, and what is refused before anything is sent, with its
-- place, and what is expected there.

local core = require "zuora.core"
local plan = require "zuora.extract.plan"
local support = require "spec.support"

describe("zuora.extract.plan", function()
  local function given(changes, item)
    local all = { plan = "nightly", output = "out", items = { item or { object = "Account" } } }
    for name, value in pairs(changes or {}) do all[name] = value end
    return all
  end

  it("fills in what is not said", function()
    local read = assert(plan.read(given { every = "15m", settle = "2h" }))
    assert.equal(900, read.every)
    assert.equal(7200, read.settle)
    assert.equal(4, read.concurrency)
    assert.equal("out/.zuora.db", read.store)
    local item = read.items[1]
    assert.same({ "Account", "object", "*", "Id" }, { item.name, item.kind, item.fields, item.key })
  end)

  it("reads what the manual shows", function()
    local read = assert(plan.read {
      plan = "nightly", output = "out", store = "out/.zuora.db", every = "1h", settle = "2h", concurrency = 4,
      items = {
        { object = "Account", fields = "*", deleted = true },
        { object = "InvoiceItem", fields = "*", deleted = true, lookback = { days = 14, every = "7d" },
          totals = { "count", "sum(ChargeAmount)" }, split = "id:250000" },
        { name = "paid", query = "select Amount from Payment where Status = 'Processed'", cursor = "UpdatedDate",
          key = "Id" },
        { report = "Accounts by balance", view = "Detail" },
        { query = "select * from chargemetrics", api = "query", name = "chargemetrics" },
      },
      load = { to = "postgresql:///dw", schema = "zuora", columns = "evolve", deletes = "flag" }, entities = {},
    })
    assert.equal(250000, read.items[2].split)
    assert.equal(7 * 86400, read.items[2].lookback.every)
    assert.equal("Payment", read.items[3].object)
    assert.equal("data_query", read.items[5].kind)
  end)

  local function refused(words, changes, item)
    local read, err = plan.read(given(changes, item))
    assert.is_nil(read, words)
    assert.equal("plan", err.kind)
    assert.is_truthy(err.message:find(words, 1, true), err.message)
  end

  it("refuses words that it does not know, and says which it does", function()
    refused("evry: unknown word; known here: concurrency, entities", { evry = "1h" })
    refused("items[1].feilds: unknown word", nil, { object = "Account", feilds = "*" })
    refused("items[1].lookback.day: unknown word", nil, { object = "Account", lookback = { day = 1 } })
    refused("load.too: unknown word", { load = { too = "x" } })
  end)

  it("refuses a plan without what it needs", function()
    for _, name in ipairs { "plan", "output", "items" } do
      local all = given()
      all[name] = nil
      assert.matches(name .. ": missing", select(2, plan.read(all)).message)
    end
  end)

  it("refuses values of another type, each with what is expected", function()
    refused('every: a time such as "90s"', { every = "soon" })
    refused("every: at least a second", { every = 0 })
    refused("concurrency: a whole number, 1 or more", { concurrency = 0 })
    refused("items: a list of at least one", { items = {} })
    refused("plan: a name of letters", { plan = "../x" })
    refused('items[1].fields: "*" or a list', nil, { object = "Account", fields = { "a;b" } })
    refused('items[1].split: "id:250000"', nil, { object = "Account", split = "250000" })
    refused("items[1].totals[1]: \"count\"", nil, { object = "Account", totals = { "avg(x)" } })
    refused("items[1].deleted: true or false", nil, { object = "Account", deleted = "yes" })
    refused("items[1].mode: one of merge, replace, append (with a cursor)", nil, { object = "Account", mode = "upsert" })
    refused("entities: a list of ids", { entities = { "x y" } })
    refused("publish: a program and its arguments", { publish = "rclone" })
    refused("items[1]: an object expected", { items = { "Account" } })
    refused("items[1].lookback.every: at least a second", nil, { object = "Account", lookback = { days = 1, every = "0s" } })
    refused("items[1].lookback.days: missing", nil, { object = "Account", lookback = { every = "7d" } })
  end)

  it("refuses names that the folder, the target or SQLite needs, and an entity that is there twice", function()
    for _, name in ipairs { "run.json", "SHA256SUMS", "sha256sums", "audit.json", "run.json.new", "zuora_mark" } do
      refused(("items[1]: '%s' is a name of ours: give it another by 'name'"):format(name), nil,
        { object = "Account", name = name })
    end
    refused("items[1]: 'SQLite_x' is a name that SQLite keeps", nil, { object = "Account", name = "SQLite_x" })
    local more = { load = { to = "sqlite:out/dw.db" }, output = "out", items = { { object = "Account", name = "dw.db" } } }
    refused("items[1]: its folder out/dw.db is the file of 'load.to': give it another name by 'name'", more)
    more.load, more.store = nil, "out/dw.db"
    refused("items[1]: its folder out/dw.db is the file of 'store'", more)
    local id = "2c92c0f9-5a1b-4c3d-8e4f-0123456789ab"
    refused("entities: a list of ids of entities, UUIDs, no two the same", { entities = { id, id:upper():gsub("-", ""), nil } })
    assert(plan.read(given { entities = { id, (id:gsub("^2", "3")) } }))
  end)

  it("appends only what is read in windows", function()
    local words = "append is for what is read in windows, and it has no cursor: .*leave 'mode' out .*, or name a 'cursor'"
    for _, item in ipairs { { query = "select Id from Account", name = "q", mode = "append" },
      { query = "select Id from Account", name = "q", mode = "append", api = "query" },
      { object = "Account", cursor = false, mode = "append" }, { report = "x", view = "Detail", mode = "append" } } do
      assert.matches("items%[1%].mode: " .. words, select(2, plan.read(given(nil, item))).message)
    end
    assert(plan.read(given(nil, { object = "Account", mode = "append" })))
    assert(plan.read(given(nil, { query = "select Id from a", name = "q", cursor = "UpdatedDate", mode = "append" })))
  end)

  it("refuses places with another scheme than ours, and shows nothing of them, which may be a password", function()
    for _, place in ipairs { "mysql://u:sekrit@h/dw", "POSTGRESQL://u:sekrit@h/dw", "postgresql:u:sekrit@h/dw",
      "postgresql:/u:sekrit@h/dw", "psql://u:sekrit@h/dw", "host=h password=sekrit", "postgresql://h/dw?pass%77ord=sekrit",
      "postgres://h/dw?a=b&p%61ssword=sekrit" } do
      for word, more in pairs { store = { store = place }, ["load.to"] = { load = { to = place } } } do
        local read, err = plan.read(given(more))
        assert.is_nil(read)
        assert.matches("^the plan: " .. word .. ': [^\n]*"postgresql://…"[^\n]* expected$', err.message)
        assert.is_nil(err.message:find "sekrit")
      end
    end
    refused("store: a path, or \"postgresql://…\" for several machines (and not mysql:…) expected",
      { store = "mysql://h/dw" })
    refused("load.to: \"sqlite:PATH\"", { load = { to = "SQLite:dw.db" } })
    for _, store in ipairs { "journal.db", "/var/lib/x:y.db", "./a:b.db", "postgresql://u:word@h/dw", "postgres:///dw?password=x" } do
      assert(plan.read(given { store = store }))
    end
    assert(plan.read(given { load = { to = "sqlite:dw.db" } }))
  end)

  it("refuses a word of publish that stands for nothing", function()
    refused("publish[3]: {itm}: unknown word; known here: {path}, {name}, {item}",
      { publish = { "cp", "{path}", "to/{itm}/{name}" } })
    assert(plan.read(given { publish = { "sh", "-c", "cp $0 ${HOME}/{name}", "{path}" } }))
  end)

  it("refuses items that are none, or two, or of one name", function()
    refused("items[1]: 'object', 'query' or 'report' expected", nil, { name = "x" })
    refused("items[1]: it has both 'object' and 'report'", nil, { object = "Account", report = "x" })
    refused("items[2]: its name 'account' is that of items[1]", { items = { { object = "Account" },
      { object = "account" } } })
    refused("items[1].name: missing", nil, { query = "select Id from Account" })
    refused("items[1].view: missing", nil, { report = "x" })
    refused("items[1].name: a name of letters", nil, { object = "Account", name = "a/b" })
    refused("items[1]: its name 'xxxx", nil, { report = ("x"):rep(61), view = "Detail" })
    refused("items[1]: 'zuora_Stage' is a name of ours", nil, { object = "Account", name = "zuora_Stage" })
    refused("items[1].totals: cannot go with limit", nil, { query = "select Id from a limit 5", name = "q",
      totals = { "count" } })
  end)

  it("refuses queries that cannot be read in windows", function()
    local function query(text, words, more)
      local item = { query = text, name = "q", cursor = "UpdatedDate" }
      for name, value in pairs(more or {}) do item[name] = value end
      refused(words, nil, item)
    end
    query("select Id from Account order by Id", "items[1].query: order by cannot go with a cursor")
    query("select Id from Account limit 5", "limit cannot go with a cursor")
    query("select count(Id) from Account group by Name", "group by cannot go with a cursor")
    query("update Account", "begins with 'select'")
    query("select Id from Account where Name = 'x", "a quote is not closed")
    query("select Id from Account where (Name = 'x'", "a parenthesis is not closed")
    query("select Id from Account where", "nothing after 'where'")
    query("select Id", "there is no 'from'")
    query("select Id from a, b", "the name of one object")
    query("select Id from a", "is not for api", { api = "query" })
    refused("items[1].lookback: needs a cursor", nil, { query = "select Id from a", name = "q",
      lookback = { days = 1, every = "1d" } })
  end)

  it("reads a file, and says what is wrong with it", function()
    local path = support.scratch "plan" .. ".json"
    support.write(path, '{"plan":"p","output":"o","items":[{"object":"Account"}]}')
    assert.equal("p", assert(plan.read(path)).plan)
    support.write(path, '{"plan":"p",\n"output":"o",\n}')
    assert.matches("no JSON object: .* in line 3$", select(2, plan.read(path)).message)
    support.write(path, '{"plan":"p","output":"o","items":[{"object":"A","x":1}]}')
    assert.matches("plan%.json: items%[1%]%.x: unknown word", select(2, plan.read(path)).message)
    assert.matches("nonesuch", select(2, plan.read "build/spec/nonesuch.json").message)
    for items, problem in pairs { ["[]"] = "items: a list of at least one", ["[ ]"] = "items: a list of at least one",
      ["{}"] = "items: a list of at least one", ["[null]"] = "items%[1%]: an object expected",
      ['[{"object":"A"},false]'] = "items%[2%]: an object expected", ['[{"object":"A"},]'] = "no JSON object: .* in line 1",
      ['[{"object":"A"}],"items":[5]'] = "items%[1%]: an object expected" } do
      support.write(path, ('{"plan":"p","output":"o","items":%s}'):format(items))
      assert.matches(problem, select(2, plan.read(path)).message)
    end
  end)

  it("keeps what it was given, whatever becomes of that", function()
    local source, path = { plan = "p", output = "o", items = { { object = "A", fields = { "x" } }, { object = "B" } } },
      support.scratch "plan" .. ".json"
    support.write(path, core.encode(source))
    local of_table, of_file = assert(plan.read(source)), assert(plan.read(path))
    source.items[1].fields[1], source.items[1].where = "y", "z"
    os.remove(path)
    for _, read in ipairs { of_table, of_file } do
      assert.equal(2, #read.items)
      assert.same({ "x" }, read.items[1].fields)
      assert.is_nil(read.items[1].where)
      assert.is_nil(read.items[3])
    end
    refused("items[1]: it has what JSON has not", nil, { report = "x", view = "Detail", filters = { print } })
    assert.has_error(function() plan.read(5) end)
  end)
end)
