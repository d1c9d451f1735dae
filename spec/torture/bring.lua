-- (WAY, DIRECTORY, URL, CLIENT_ID, CLIENT_SECRET, IDS): brings a file in one of the ways of downloads.lua. For a process
-- that is killed while it does.

local name, directory, url, client_id, client_secret, ids = ...

local client <close> = require "zuora".new { base_url = url, client_id = client_id, client_secret = client_secret,
  tmpdir = directory }
for _, way in ipairs(require "spec.torture.downloads".ways(client, ids, directory)) do
  if way.name == name then assert(way.bring()) end
end
