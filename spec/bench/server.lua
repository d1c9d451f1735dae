--- nginx with answers that stand still: what the server does costs the client nothing. http, https with HTTP/1.1
--- alone, and HTTP/2.

local core = require "zuora.core"
local socket = require "socket"

local server = {}

local CONFIGURATION = [[
daemon off; pid $directory/pid; error_log $directory/error.log; worker_processes 1; worker_rlimit_nofile 4096;
$user
events { worker_connections 2048; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path $directory/body; proxy_temp_path $directory/proxy; fastcgi_temp_path $directory/fastcgi;
  uwsgi_temp_path $directory/uwsgi; scgi_temp_path $directory/scgi;
  ssl_certificate $directory/certificate; ssl_certificate_key $directory/key; ssl_session_tickets off;
  output_buffers 4 256k; http2_chunk_size 16k;
  server {
    listen 127.0.0.1:$plain backlog=1024;
    listen 127.0.0.1:$secure ssl backlog=1024;
    listen 127.0.0.1:$http2 ssl http2 backlog=1024;
    default_type application/json;
    location ~ ^/v1/batch-query/jobs/j([0-9]+)$ { return 200 '$completed'; }
    location ~ ^/v1/batch-query/jobs/w([0-9]+)$ { return 200 '$executing'; }
    location ~ ^/v1/batch-query/?$ { return 200 '$submitted'; }
    location ~ ^/v1/batch-query/jobs/(e[0-9a-f]+)$ { return 200 '$extracted'; }
    location ~ ^/tiny/v1/batch-query/?$ { return 200 '$submitted'; }
    location ~ ^/tiny/v1/batch-query/jobs/(e[0-9a-f]+)$ { return 200 '$one'; }
    location ~ ^/tiny/v1/files/ { default_type text/csv; return 200 "Id\n1\n"; }
    location ~ ^(/tiny)?/v1/describe { default_type text/xml; return 200 '<object><name>Big</name><label>Big</label></object>'; }
    location ~ ^/v1/files/part[0-9]+$ { default_type text/csv; alias $data/$part; }
    location ~ ^/v1/files/(.+)$ { default_type text/csv; alias $data/$1; gzip_static on; }
    location = /reporting/api/rest/v1/reportruns/reportdata/run { alias $data/page; }
  }
}
]]

-- 700 bytes of a job; its number is in the path.
local JOB = '{"id":"$ID$1","name":"Accounts and invoices, nightly","encrypted":"none","status":"$STATUS","format":"CSV",'
  .. '"version":"1.1","useQueryLabels":true,"offset":null,"startTime":"2025-11-02T10:11:12.000-08:00","batches":[{'
  .. '"apiVersion":"186.0","batchId":"2c92c0f86a8dd422016a9e7a70116b0d","batchType":"zoqlexport","fileId":'
  .. '"2c92c0f96bd69165016bda0a35390a77","full":true,"localizedStatus":"$STATUS","message":"","name":"Account",'
  .. '"query":"select AccountNumber, Name, Currency, Balance, CreatedDate, UpdatedDate from Account where Status = '
  .. '\\\'Active\\\'","recordCount":$1,"segments":["2c92c0f96bd69165016bda0a35390a78"],"status":"$STATUS"}],'
  .. '"sourceOrgIds":[],"notifyUrl":"https://example.com/notify","incrementalTime":"2025-11-01T10:11:12.000-08:00"}'

local function job(id, status) return (JOB:gsub("%$ID", id):gsub("%$STATUS", status)) end

-- A job of an extraction, and its one file: each submit makes another.
local EXTRACTED = '{"id":"$ID","name":"x","status":"$STATUS","format":"CSV","version":"1.1","batches":[{'
  .. '"batchId":"b1","name":"rows","query":"select Id from Big","status":"$STATUS","fileId":"part1","full":true,'
  .. '"recordCount":$RECORDS,"message":""}]}'

local function extracted(id, status, records)
  return (EXTRACTED:gsub("%$ID", id):gsub("%$STATUS", status):gsub("%$RECORDS", records))
end

local function free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return math.tointeger(port)
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a":gsub("\n$", "")
  pipe:close()
  return text
end

--- Starts it; it ends when it is closed, or with this process.
---@param directory string for its files
---@param data_directory string what it serves
---@param part string the file that stands for all parts
---@param records integer that are in it
---@return table server plain, secure, http2 (URLs), ca_file
function server.start(directory, data_directory, part, records)
  local here = output_of "pwd" .. "/"
  directory = here .. directory
  assert(os.execute(("mkdir -p %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
    .. "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout %s/key -out %s/certificate 2>/dev/null"):format(
    directory, directory, directory)))
  local values = { directory = directory, data = here .. data_directory, part = part, plain = free_port(),
    secure = free_port(), http2 = free_port(), completed = job("j", "completed"), executing = job("w", "executing"),
    submitted = extracted("e$request_id", "submitted", 0), extracted = extracted("$1", "completed", records),
    one = extracted("$1", "completed", 1),
    user = output_of "id -u" == "0" and "user root;" or "" }
  local file = assert(io.open(directory .. "/nginx.conf", "wb"))
  assert(file:write((CONFIGURATION:gsub("%$(%w+)", values))))
  assert(file:close())
  -- Its standard input is the word that we are still there.
  local pipe = assert(io.popen(("PATH=$PATH:/usr/sbin; nginx -c %s/nginx.conf -e %s/error.log >/dev/null 2>&1 & "
    .. "cat >/dev/null; kill $!; wait"):format(directory, directory), "w"))
  local ends_at = core.now() + 10
  repeat
    local connection = socket.connect("127.0.0.1", values.http2)
    if connection then
      connection:close()
      return setmetatable({ plain = "http://127.0.0.1:" .. values.plain, secure = "https://127.0.0.1:" .. values.secure,
        http2 = "https://127.0.0.1:" .. values.http2, ca_file = directory .. "/certificate" },
        { __close = function() pipe:close() end })
    end
    socket.sleep(0.02)
  until core.now() > ends_at
  pipe:close()
  error("nginx did not start: see " .. directory .. "/error.log")
end

return server
