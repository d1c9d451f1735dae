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
    ["zuora.simulator"] = "lua/zuora/simulator/init.lua",
    ["zuora.simulator.engine.catalogue"] = "lua/zuora/simulator/engine/catalogue.lua",
    ["zuora.simulator.engine.conditions"] = "lua/zuora/simulator/engine/conditions.lua",
    ["zuora.simulator.engine.content"] = "lua/zuora/simulator/engine/content.lua",
    ["zuora.simulator.engine.fields"] = "lua/zuora/simulator/engine/fields.lua",
    ["zuora.simulator.engine.jobs"] = "lua/zuora/simulator/engine/jobs.lua",
    ["zuora.simulator.engine.json"] = "lua/zuora/simulator/engine/json.lua",
    ["zuora.simulator.engine.limits"] = "lua/zuora/simulator/engine/limits.lua",
    ["zuora.simulator.engine.objects"] = "lua/zuora/simulator/engine/objects.lua",
    ["zuora.simulator.engine.packing"] = "lua/zuora/simulator/engine/packing.lua",
    ["zuora.simulator.engine.plans"] = "lua/zuora/simulator/engine/plans.lua",
    ["zuora.simulator.engine.progress"] = "lua/zuora/simulator/engine/progress.lua",
    ["zuora.simulator.engine.queries"] = "lua/zuora/simulator/engine/queries.lua",
    ["zuora.simulator.engine.runs"] = "lua/zuora/simulator/engine/runs.lua",
    ["zuora.simulator.engine.scopes"] = "lua/zuora/simulator/engine/scopes.lua",
    ["zuora.simulator.engine.tenant"] = "lua/zuora/simulator/engine/tenant.lua",
    ["zuora.simulator.engine.text"] = "lua/zuora/simulator/engine/text.lua",
    ["zuora.simulator.engine.times"] = "lua/zuora/simulator/engine/times.lua",
    ["zuora.simulator.engine.totals"] = "lua/zuora/simulator/engine/totals.lua",
    ["zuora.simulator.engine.zoql"] = "lua/zuora/simulator/engine/zoql.lua",
    ["zuora.simulator.http.access"] = "lua/zuora/simulator/http/access.lua",
    ["zuora.simulator.http.admin"] = "lua/zuora/simulator/http/admin.lua",
    ["zuora.simulator.http.app"] = "lua/zuora/simulator/http/app.lua",
    ["zuora.simulator.http.aqua"] = "lua/zuora/simulator/http/aqua.lua",
    ["zuora.simulator.http.body"] = "lua/zuora/simulator/http/body.lua",
    ["zuora.simulator.http.bucket"] = "lua/zuora/simulator/http/bucket.lua",
    ["zuora.simulator.http.connection"] = "lua/zuora/simulator/http/connection.lua",
    ["zuora.simulator.http.describe"] = "lua/zuora/simulator/http/describe.lua",
    ["zuora.simulator.http.faults"] = "lua/zuora/simulator/http/faults.lua",
    ["zuora.simulator.http.form"] = "lua/zuora/simulator/http/form.lua",
    ["zuora.simulator.http.journal"] = "lua/zuora/simulator/http/journal.lua",
    ["zuora.simulator.http.limits"] = "lua/zuora/simulator/http/limits.lua",
    ["zuora.simulator.http.queries"] = "lua/zuora/simulator/http/queries.lua",
    ["zuora.simulator.http.replies"] = "lua/zuora/simulator/http/replies.lua",
    ["zuora.simulator.http.reporting"] = "lua/zuora/simulator/http/reporting.lua",
    ["zuora.simulator.http.reports"] = "lua/zuora/simulator/http/reports.lua",
    ["zuora.simulator.http.routes"] = "lua/zuora/simulator/http/routes.lua",
    ["zuora.simulator.http.samples"] = "lua/zuora/simulator/http/samples.lua",
    ["zuora.simulator.http.server"] = "lua/zuora/simulator/http/server.lua",
    ["zuora.simulator.http.token"] = "lua/zuora/simulator/http/token.lua",
    ["zuora.simulator.main"] = "lua/zuora/simulator/main.lua",
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
