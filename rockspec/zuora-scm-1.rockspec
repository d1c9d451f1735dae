rockspec_format = "3.0"
package = "zuora"
version = "scm-1"

source = {
  url = "git+https://example.com/zuora.git",
}

description = {
  summary = "Zuora's Reporting and AQuA APIs: report runs, query jobs, and their results",
  detailed = [[
    Starts report runs and AQuA jobs, waits for them and fetches their results, which are proven
    complete. HTTP by libcurl in C, JSON by lua-cjson; retries, tokens and waiting in Lua. Comes with
    a local Zuora to test scripts against.
  ]],
  license = "MIT",
  labels = { "zuora", "billing", "http", "reporting" },
}

dependencies = {
  "lua >= 5.4, < 5.6",
  "lua-cjson >= 2.1.0",
  -- client.describe needs luaexpat, and zuora.simulator luasocket (luasec for TLS, lua-zlib for gzip and zip):
  -- only when they are used.
}

-- The library alone: Debian keeps the header where the compiler looks and LuaRocks does not.
external_dependencies = {
  CURL = { library = "curl" },
  ZLIB = { library = "z" },
  platforms = {
    windows = { CURL = { header = "curl/curl.h", library = "libcurl" } },
  },
}

build = {
  type = "builtin",
  modules = {
    ["zuora.core"] = {
      sources = {
        "src/base.c",
        "src/core.c",
        "src/options.c",
        "src/api/call.c",
        "src/api/connection.c",
        "src/api/operations.c",
        "src/data/cells.c",
        "src/data/columns.c",
        "src/data/decoder.c",
        "src/data/grown.c",
        "src/data/gzip.c",
        "src/data/json.c",
        "src/data/rows.c",
        "src/data/scanner.c",
        "src/data/stages.c",
        "src/data/utf8.c",
        "src/data/values.c",
        "src/http/exchange.c",
        "src/http/headers.c",
        "src/http/part.c",
        "src/http/request.c",
        "src/http/response.c",
        "src/http/session.c",
        "src/http/sink.c",
        "src/http/state.c",
      },
      libraries = { "curl", "z", "m" },
      incdirs = { "$(CURL_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)" },
    },
    ["zuora"] = "lua/zuora/init.lua",
    ["zuora.caller"] = "lua/zuora/caller/init.lua",
    ["zuora.caller.admission"] = "lua/zuora/caller/admission.lua",
    ["zuora.caller.codes"] = "lua/zuora/caller/codes.lua",
    ["zuora.caller.credentials"] = "lua/zuora/caller/credentials.lua",
    ["zuora.caller.download"] = "lua/zuora/caller/download.lua",
    ["zuora.caller.envelopes"] = "lua/zuora/caller/envelopes.lua",
    ["zuora.caller.hosts"] = "lua/zuora/caller/hosts.lua",
    ["zuora.caller.mask"] = "lua/zuora/caller/mask.lua",
    ["zuora.caller.rate"] = "lua/zuora/caller/rate.lua",
    ["zuora.caller.responses"] = "lua/zuora/caller/responses.lua",
    ["zuora.caller.retry"] = "lua/zuora/caller/retry.lua",
    ["zuora.caller.semaphore"] = "lua/zuora/caller/semaphore.lua",
    ["zuora.client"] = "lua/zuora/client.lua",
    ["zuora.error"] = "lua/zuora/error.lua",
    ["zuora.meta"] = "lua/zuora/meta.lua",
    ["zuora.resources.describe"] = "lua/zuora/resources/describe.lua",
    ["zuora.resources.fetch"] = "lua/zuora/resources/fetch.lua",
    ["zuora.resources.files"] = "lua/zuora/resources/files.lua",
    ["zuora.resources.jobs"] = "lua/zuora/resources/jobs.lua",
    ["zuora.resources.pages"] = "lua/zuora/resources/pages.lua",
    ["zuora.resources.queries"] = "lua/zuora/resources/queries.lua",
    ["zuora.resources.record"] = "lua/zuora/resources/record.lua",
    ["zuora.resources.reportruns"] = "lua/zuora/resources/reportruns.lua",
    ["zuora.resources.reports"] = "lua/zuora/resources/reports.lua",
    ["zuora.resources.request"] = "lua/zuora/resources/request.lua",
    ["zuora.resources.submit"] = "lua/zuora/resources/submit.lua",
    ["zuora.rows"] = "lua/zuora/rows.lua",
    ["zuora.simulator"] = "lua/zuora/simulator.lua",
    ["zuora.simulator.access"] = "lua/zuora/simulator/access.lua",
    ["zuora.simulator.app"] = "lua/zuora/simulator/app.lua",
    ["zuora.simulator.aqua"] = "lua/zuora/simulator/aqua.lua",
    ["zuora.simulator.bucket"] = "lua/zuora/simulator/bucket.lua",
    ["zuora.simulator.catalogue"] = "lua/zuora/simulator/catalogue.lua",
    ["zuora.simulator.conditions"] = "lua/zuora/simulator/conditions.lua",
    ["zuora.simulator.content"] = "lua/zuora/simulator/content.lua",
    ["zuora.simulator.describe"] = "lua/zuora/simulator/describe.lua",
    ["zuora.simulator.faults"] = "lua/zuora/simulator/faults.lua",
    ["zuora.simulator.fields"] = "lua/zuora/simulator/fields.lua",
    ["zuora.simulator.jobs"] = "lua/zuora/simulator/jobs.lua",
    ["zuora.simulator.json"] = "lua/zuora/simulator/json.lua",
    ["zuora.simulator.limits"] = "lua/zuora/simulator/limits.lua",
    ["zuora.simulator.main"] = "lua/zuora/simulator/main.lua",
    ["zuora.simulator.objects"] = "lua/zuora/simulator/objects.lua",
    ["zuora.simulator.packing"] = "lua/zuora/simulator/packing.lua",
    ["zuora.simulator.plans"] = "lua/zuora/simulator/plans.lua",
    ["zuora.simulator.progress"] = "lua/zuora/simulator/progress.lua",
    ["zuora.simulator.queries"] = "lua/zuora/simulator/queries.lua",
    ["zuora.simulator.replies"] = "lua/zuora/simulator/replies.lua",
    ["zuora.simulator.reporting"] = "lua/zuora/simulator/reporting.lua",
    ["zuora.simulator.reports"] = "lua/zuora/simulator/reports.lua",
    ["zuora.simulator.samples"] = "lua/zuora/simulator/samples.lua",
    ["zuora.simulator.scopes"] = "lua/zuora/simulator/scopes.lua",
    ["zuora.simulator.server"] = "lua/zuora/simulator/server.lua",
    ["zuora.simulator.tenant"] = "lua/zuora/simulator/tenant.lua",
    ["zuora.simulator.text"] = "lua/zuora/simulator/text.lua",
    ["zuora.simulator.times"] = "lua/zuora/simulator/times.lua",
    ["zuora.simulator.totals"] = "lua/zuora/simulator/totals.lua",
    ["zuora.simulator.zoql"] = "lua/zuora/simulator/zoql.lua",
    ["zuora.support.ascii"] = "lua/zuora/support/ascii.lua",
    ["zuora.support.check"] = "lua/zuora/support/check.lua",
    ["zuora.support.names"] = "lua/zuora/support/names.lua",
    ["zuora.tasks.line"] = "lua/zuora/tasks/line.lua",
    ["zuora.tasks.scheduler"] = "lua/zuora/tasks/scheduler.lua",
    ["zuora.tasks.set"] = "lua/zuora/tasks/set.lua",
    ["zuora.tasks.task"] = "lua/zuora/tasks/task.lua",
    ["zuora.tasks.timers"] = "lua/zuora/tasks/timers.lua",
    ["zuora.tasks.wait"] = "lua/zuora/tasks/wait.lua",
    ["zuora.time"] = "lua/zuora/time.lua",
  },
}

test = {
  type = "command",
  command = "make test",
}
