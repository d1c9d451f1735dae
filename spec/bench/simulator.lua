-- How fast the simulator is: a 2 GiB generated file beside nginx with a static one, and 10,000 polls of
-- 1,000 jobs. Ratios of one run; nothing is asserted. `make bench-simulator`
--
-- Where it was measured: a fifth to a third of nginx's rate, a peak of 13 MB, and the 10,000th poll as fast as the first.

local core = require "zuora.core"
local support = require "spec.support"

local GIB = 1024 * 1024 * 1024
local SIZE = tonumber(os.getenv "BENCH_BYTES") or 2 * GIB
local ROUNDS = 3

-- --- a big file --------------------------------------------------------------------------------------

local directory = support.scratch "bench"

-- About 90 bytes a row.
local sim <close> = support.simulator { token_life = 86400,
  objects = { Big = { generate = { rows = SIZE // 85, awkward = true } } } }
local client = support.client(sim)
local job = assert(assert(client.jobs:submit { queries = { { name = "b", query = "select * from Big" } } })
  :wait(support.soon))
local file_url = sim.url .. "/apps/api/file/" .. job.batches[1].fileId

local function nginx_start()
  support.write(directory .. "/nginx.conf", ([[
daemon on; pid %s/nginx.pid; error_log /dev/null; worker_processes 1;
events { worker_connections 64; }
http { access_log off; sendfile on; client_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s;
  uwsgi_temp_path %s; scgi_temp_path %s;
  server { listen 127.0.0.1:18467; location / { root %s; } } }
]]):gsub("%%s", (support.shell "pwd"):gsub("\n", "") .. "/" .. directory))
  assert(os.execute(("truncate -s %d %s/static && nginx -c $PWD/%s/nginx.conf 2>/dev/null"):format(SIZE, directory,
    directory)))
end

-- Bytes and seconds of one download to nowhere, by curl.
local function fetch(url, auth)
  local text = support.shell(("curl -sS -o /dev/null -w '%%{size_download} %%{time_total}' %s '%s'"):format(auth or "", url))
  local bytes, seconds = text:match "^(%d+) ([%d.]+)$"
  return tonumber(bytes) / tonumber(seconds), tonumber(bytes)
end

-- The process that listens on the port of a URL.
local function process_of(url)
  local hex = ("0100007F:%04X"):format(tonumber(url:match ":(%d+)$"))
  local inode
  for line in io.lines "/proc/net/tcp" do
    inode = inode or line:match("^%s*%d+: " .. hex .. " %S+ 0A .-%s(%d+) 1 ")
  end
  return inode and support.shell(("for p in /proc/[0-9]*; do ls -l $p/fd 2>/dev/null | grep -q 'socket:\\[%s\\]' && echo ${p#/proc/}; done")
    :format(inode)):match "%d+"
end

if support.shell "command -v nginx" ~= "" then
  nginx_start()
  print(("a file of %.2f GiB to nowhere, by curl: simulator beside nginx"):format(SIZE / GIB))
  fetch "http://127.0.0.1:18467/static" -- so that the file is in the system's cache
  for round = 1, ROUNDS do
    local ours, bytes = fetch(file_url, ("-u '%s:%s'"):format(sim.username, sim.password))
    local theirs = fetch("http://127.0.0.1:18467/static")
    print(("  round %d: %7.0f MB/s of %.2f GiB, %7.0f MB/s: ratio %.2f"):format(round, ours / 1e6, bytes / GIB,
      theirs / 1e6, ours / theirs))
  end
  os.execute(("kill $(cat %s/nginx.pid)"):format(directory))
else
  print "nginx is not installed: no comparison of downloads"
end
local pid = process_of(sim.url)
local status = pid and support.read("/proc/" .. pid .. "/status") or ""
print(("  peak memory of the simulator: %s kB"):format(status:match "VmHWM:%s*(%d+)" or "?"))

-- --- many polls --------------------------------------------------------------------------------------

local ids = {}
local patient <close> = support.simulator { looks = 1000000, concurrent_jobs = 5000 }
local poller <close> = support.client(patient)
for i = 1, 1000 do
  ids[i] = assert(poller.jobs:submit { queries = { { name = "a", query = "select Id from Account" } } }).id
end
print "10,000 polls of 1,000 jobs, one after another"
for thousand = 1, 10 do
  local before = core.now()
  for i = 1, 1000 do assert(poller.jobs:get(ids[i])) end
  if thousand == 1 or thousand == 10 then
    print(("  thousand %2d: %.0f us a poll"):format(thousand, (core.now() - before) * 1000))
  end
end
client:close()
