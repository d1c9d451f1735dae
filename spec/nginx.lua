--- A real nginx in front of a simulator: HTTP/2 over TLS, and plain HTTP. All its files are in a scratch
-- directory, and it ends with the spec.

local core = require "zuora.core"
local socket = require "socket"
local support = require "spec.support"

local nginx = {}

--- Why a spec that needs it cannot run, or nil.
function nginx.missing()
  if support.shell "command -v nginx || command -v /usr/sbin/nginx" == "" then return "nginx is not installed" end
  if not support.shell "curl-config --features 2>/dev/null || curl --version":find "HTTP2" then
    return "this libcurl has no HTTP/2"
  end
end

local function free_port()
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  server:close()
  return port
end

local CONFIGURATION = [[
daemon off; pid %(directory)s/pid; error_log %(directory)s/error.log; worker_processes 1;
%(user)s
events { worker_connections 512; }
http {
  log_format spec '$connection $server_protocol $status $request_method $uri';
  access_log %(directory)s/access.log spec;
  client_body_temp_path %(directory)s/body; proxy_temp_path %(directory)s/proxy;
  fastcgi_temp_path %(directory)s/fastcgi; uwsgi_temp_path %(directory)s/uwsgi; scgi_temp_path %(directory)s/scgi;
  ssl_certificate %(directory)s/certificate; ssl_certificate_key %(directory)s/key;
  %(more)s
  server {
    listen 127.0.0.1:%(secure)d ssl http2;
    listen 127.0.0.1:%(plain)d;
    location /static/ { alias %(directory)s/static/; %(static)s }
    location / {
      proxy_pass %(upstream)s; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_buffering off; proxy_read_timeout 20; proxy_next_upstream off;
    }
  }
}
]]

---@param name string of its directory
---@param upstream string the simulator's URL
---@param options table|nil more, static: directives
---@return table server with secure and plain (URLs), ca_file, directory
function nginx.start(name, upstream, options)
  options = options or {}
  local directory = support.shell("pwd"):gsub("\n", "") .. "/" .. support.scratch(name)
  local server = setmetatable({ directory = directory, ca_file = directory .. "/certificate" },
    { __index = nginx, __close = nginx.stop })
  local text, status = support.shell(("mkdir -p %s/static && openssl req -x509 -newkey ec "
    .. "-pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
    .. "-addext subjectAltName=IP:127.0.0.1 -keyout %s/key -out %s/certificate"):format(directory, directory, directory))
  assert(status == 0, text)
  local values = { directory = directory, secure = free_port(), plain = free_port(), upstream = upstream,
    user = support.shell "id -u" == "0\n" and "user root;" or "", more = options.more or "",
    static = options.static or "" }
  support.write(directory .. "/nginx.conf", (CONFIGURATION:gsub("%%%((%w+)%)[sd]", values)))
  -- Its standard input is the spec's word that it is still there.
  server.pipe = assert(io.popen(("PATH=$PATH:/usr/sbin; nginx -p %s -c %s/nginx.conf -e %s/error.log >/dev/null 2>&1 & "
    .. "cat >/dev/null; kill $!; wait"):format(directory, directory, directory), "w"))
  server.secure = "https://127.0.0.1:" .. values.secure
  server.plain = "http://127.0.0.1:" .. values.plain
  local ends_at = core.now() + 10
  repeat
    local connection = socket.connect("127.0.0.1", values.secure)
    if connection then
      connection:close()
      return server
    end
    socket.sleep(0.02)
  until core.now() > ends_at
  server.pipe:close()
  error("nginx did not start: " .. tostring(support.read(directory .. "/error.log")))
end

local function read_log(self, path)
  local found = {}
  for line in (support.read(self.directory .. "/access.log") or ""):gmatch("[^\n]+") do
    local connection, protocol, status, method, uri = line:match("^(%d+) (%S+) (%d+) (%S+) (.*)")
    if uri and uri:sub(1, #path) == path then
      found[#found + 1] = { connection = connection, protocol = protocol, status = tonumber(status), method = method,
        path = uri }
    end
  end
  return found
end

--- What it has logged of requests whose path begins so: { connection, protocol, status, method, path }. A line is
--- written after the answer: there shall be so many (1 where nothing is said), and it waits for them.
---@param path string
---@param expected integer|nil
function nginx:logged(path, expected)
  local ends_at = core.now() + 5
  local found = read_log(self, path)
  while #found < (expected or 1) and core.now() < ends_at do
    socket.sleep(0.01)
    found = read_log(self, path)
  end
  assert(#found >= (expected or 0), ("nginx has logged %d of %s"):format(#found, expected))
  return found
end

--- Begins a new log, when the lines of what was before are there.
function nginx:forget()
  local path, before = self.directory .. "/access.log"
  repeat
    before = support.read(path)
    socket.sleep(0.03)
  until support.read(path) == before
  support.write(path, "")
end

--- How many connections, and which protocols, those requests had.
function nginx:connections(path, expected)
  local seen, count, protocols, names = {}, 0, {}, {}
  for _, entry in ipairs(self:logged(path, expected)) do
    if not seen[entry.connection] then count = count + 1 end
    seen[entry.connection] = true
    protocols[entry.protocol] = true
  end
  for name in pairs(protocols) do names[#names + 1] = name end
  table.sort(names)
  return count, table.concat(names, " ")
end

local function master_of(self) return support.read(self.directory .. "/pid"):match("%d+") end

-- To one of its processes at least: those that end after a reload may be gone before they have it.
local function signal(self, name)
  local master = master_of(self)
  assert(os.execute(([[for try in 1 2 3 4 5 6 7 8 9; do
    for process in $(cat /proc/%s/task/%s/children); do kill -%s $process 2>/dev/null && reached=1; done
    test "$reached" && exit 0
    sleep 0.05
  done; exit 1]]):format(master, master, name)))
end

--- Ends the process that has the connections, as a crash would; another one takes its place.
function nginx:crash() signal(self, "KILL") end

--- A new configuration, as far as it knows: a new process takes over, the old one ends its connections.
function nginx:reload() assert(os.execute("kill -HUP " .. master_of(self))) end

--- It does nothing any more, so that what is sent stays unread: after that, its end resets the connections.
function nginx:freeze() signal(self, "STOP") end

function nginx:stop()
  if self.pipe then self.pipe:close() end
  self.pipe = nil
end

return nginx
