require "spec.loops".describe("cqueues", function(t)
  it("finds the controller by itself from inside one, and wants one from outside", function()
    local cqueues, adapter = require "cqueues", require "zuora.loops.cqueues"
    local client <close> = t.client()
    assert.has_error(function() adapter.attach(client) end,
      "bad argument 'loop' to zuora.loops.cqueues.attach (a controller expected, outside of one's coroutines)")
    local done
    client:spawn(function() done = assert(client.reportruns:list()) end)
    local loop = cqueues.new()
    loop:wrap(function() adapter.attach(client) end)
    assert(loop:loop())
    assert.is_table(done)
  end)
end)
