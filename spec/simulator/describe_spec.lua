-- What the simulator tells of its objects.

local http = require "spec.simulator.http"
local support = require "spec.support"

describe("simulated descriptions", function()
  local caller

  setup(function()
    caller = http.open { objects = {
      Account = { columns = { "Id", "AccountNumber", "Status", "Tier__c" } },
      Invoice = { columns = { "Id", "AccountId", "DueDate", "Balance", "UpdatedDate" } },
      ["R&D <\"it's\"> 日本"] = { columns = { "a<b>&c", "Id" } },
    } }
  end)
  teardown(function() caller:close() end)

  local function fetch(path, headers) return caller:ask("GET", "/v1/describe" .. path, headers or caller:bearer()) end

  it("list all objects", function()
    local status, xml, headers = fetch ""
    assert.equal(200, status)
    assert.equal("text/xml;charset=UTF-8", headers["content-type"])
    local origin = caller.sim.url .. "/v1/describe/"
    assert.equal('<?xml version="1.0" encoding="UTF-8"?><objects><object href="' .. origin
      .. 'Account"><name>Account</name><label>Account</label></object><object href="' .. origin
      .. 'Invoice"><name>Invoice</name><label>Invoice</label></object><object href="' .. origin
      .. 'R%26D%20%3C%22it%27s%22%3E%20%E6%97%A5%E6%9C%AC"><name>R&amp;D &lt;&quot;it&apos;s&quot;&gt; 日本</name>'
      .. '<label>R&amp;D &lt;&quot;it&apos;s&quot;&gt; 日本</label></object></objects>', xml)
    assert.equal(xml, select(2, fetch("", caller:keys())))
    assert.equal(401, (fetch("", {})))
  end)

  -- The text of the field of that name.
  local function field(xml, name)
    for one in xml:gmatch "<field>(.-)</field>" do
      if one:find("<name>" .. name .. "</name>", 1, true) then return one end
    end
  end

  it("tell of an object's fields and relations", function()
    local status, xml = fetch "/Account"
    assert.equal(200, status)
    assert.equal('<name>AccountNumber</name><label>Account Number</label><selectable>true</selectable>'
      .. '<createable>true</createable><updateable>true</updateable><filterable>true</filterable><custom>false</custom>'
      .. '<maxlength>70</maxlength><required>false</required><type>text</type>'
      .. '<contexts><context>soap</context><context>export</context></contexts>', field(xml, "AccountNumber"))
    assert.matches("<options><option>Active</option>.*<context>export</context>", field(xml, "Status"))
    assert.matches("<custom>true</custom>", field(xml, "Tier__c"))
    assert.matches("<contexts><context>soap</context></contexts>$", field(xml, "SequenceSetId"))
    assert.is_truthy(xml:find('<related-objects><object href="' .. caller.sim.url .. '/v1/describe/Contact">'
      .. "<name>BillToContact</name><label>Bill To</label></object></related-objects></object>", 1, true))
    xml = select(2, fetch "/Invoice")
    assert.matches("<name>Account</name><label>Account</label></object></related%-objects>", xml)
    assert.matches("<type>date</type>", field(xml, "DueDate"))
    assert.matches("<type>datetime</type>", field(xml, "UpdatedDate"))
    assert.matches("<contexts><context>soap</context></contexts>$", field(xml, "AccountId")) -- an export has Account.Id
    assert.matches("<type>picklist</type>.*<contexts><context>soap</context></contexts>$", field(xml, "Status"))
  end)

  it("are well-formed, whatever the names", function()
    local name = "R%26D%20%3C%22it%27s%22%3E%20%E6%97%A5%E6%9C%AC"
    local status, xml = fetch("/" .. name)
    assert.equal(200, status)
    assert.is_string(field(xml, "a&lt;b&gt;&amp;c"))
    for rest in xml:gmatch "&(.-);" do assert.is_truthy(("amp lt gt quot apos"):find(rest, 1, true)) end
    support.write("build/spec/describe.xml", xml)
    local text, failed = support.shell "python3 -c 'import xml.dom.minidom as d; d.parse(\"build/spec/describe.xml\")'"
    assert.is_true(failed == 0 or failed == 127, text)
  end)

  it("are not there for what is no object", function()
    local status, body = fetch "/Nothing"
    assert.equal(404, status)
    assert.is_false(body.success)
    assert.equal(50000040, body.reasons[1].code)
  end)
end)
