-- The hosts that the front answers to.

-- The name of a host, in small letters and without the dot at its end, and its port if it has one.
local function host_of(authority)
  local text = authority:lower()
  local name, port = text:match("^(.*[^:]):(%d*)$")
  return ((name or text):gsub("%.$", "")), tonumber(port or "")
end

-- Returns whether a name ends with another one, which begins with a dot, and has a label more.
local function is_below(name, parent)
  return name:sub(-#parent) == parent and name:sub(1, -#parent - 1):find("^[%w%-_.]+$") ~= nil
end

-- Returns whether a host always resolves to loopback (RFC 6761, section 6.3).
local function is_loopback(name)
  if name == "localhost" or name == "[::1]" or is_below(name, ".localhost") then
    return true
  end
  local parts = { name:match("^127%.(%d+)%.(%d+)%.(%d+)$") }
  for _, part in ipairs(parts) do
    if tonumber(part) > 255 or part:find("^0%d") then
      return false
    end
  end
  return #parts == 3
end

-- Returns whether the front answers to a host. A page whose name is pointed at the front's address once it is loaded (DNS
-- rebinding) sends another one. The domains of a virtual host can't say it: they know no networks, and no ports below a wildcard.
local function is_own_host(handle, authority)
  local settings = handle:streamInfo():dynamicMetadata():get("front.settings")
  local name, port = host_of(authority)
  if port ~= nil and port > 65535 then
    return false
  elseif settings["loopback"] and is_loopback(name) then
    return true
  end
  for listed in settings["hosts"]:gmatch("%S+") do
    local host, only = host_of(listed)
    local is_name = host == name or host:byte(1) == 42 and is_below(name, host:sub(2))
    if is_name and (only == nil or only == port) then
      return true
    end
  end
  return false
end

-- Returns whether a path is one of probes, which call by the address of a pod.
local function is_probe(path)
  return path:find("^/healthz$") ~= nil or path:find("^/healthz%?") ~= nil or path:find("^/grpc%.health%.") ~= nil
end
