-- Rejects query parameters that the route does not take: Envoy's transcoder would let a parameter override the path and
-- the body. Rejects leap seconds, which the transcoder would take for the next minute. Runs after front.lua, which has
-- seen to it that the path can be decoded and the request has a well-formed id, and makes the answer whole.

-- The routes, the more literal first: the body of each ("*", a field or nothing), the fields that the path gives, and
-- the parameters that it takes: ONCE, REPEATED, or once as a value of this type; then the times in its body, by name.
local ONCE, REPEATED, BOOL, TIME = 1, 2, 3, 4
local ROUTES = {
  { method = "GET", head = "appointments", path = "^/appointments$", body = "", given = {  }, takes = { ["clientId"] = ONCE, ["therapistId"] = ONCE, ["status"] = ONCE, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "POST", head = "appointments", path = "^/appointments$", body = "*", given = {  }, takes = {  }, times = {  } },
  { method = "GET", head = "clients", path = "^/clients$", body = "", given = {  }, takes = { ["email"] = ONCE, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "POST", head = "clients", path = "^/clients$", body = "client", given = {  }, takes = { ["client"] = ONCE, ["client.clientId"] = ONCE, ["client.name"] = ONCE, ["client.email"] = ONCE, ["client.pincode"] = ONCE, ["client.etag"] = ONCE }, times = {  } },
  { method = "GET", head = "emotions", path = "^/emotions$", body = "", given = {  }, takes = {  }, times = {  } },
  { method = "POST", head = "invitations", path = "^/invitations$", body = "*", given = {  }, takes = {  }, times = {  } },
  { method = "POST", head = "messages", path = "^/messages$", body = "*", given = {  }, takes = {  }, times = {  } },
  { method = "GET", head = "search", path = "^/search$", body = "", given = {  }, takes = { ["q"] = ONCE, ["in"] = REPEATED, ["clientId"] = ONCE, ["from"] = TIME, ["to"] = TIME, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "GET", head = "sessions", path = "^/sessions$", body = "", given = {  }, takes = { ["therapistId"] = ONCE, ["clientId"] = ONCE, ["status"] = ONCE, ["afterDate"] = TIME, ["beforeDate"] = TIME, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "POST", head = "sessions", path = "^/sessions$", body = "session", given = {  }, takes = { ["session"] = ONCE, ["session.sessionId"] = ONCE, ["session.therapistId"] = ONCE, ["session.clientId"] = ONCE, ["session.sessionDate"] = ONCE, ["session.startTime"] = ONCE, ["session.endTime"] = ONCE, ["session.status"] = ONCE, ["session.sharedNotes"] = ONCE, ["session.privateNotes"] = ONCE, ["session.etag"] = ONCE }, times = {  } },
  { method = "GET", head = "therapists", path = "^/therapists$", body = "", given = {  }, takes = { ["specialty"] = ONCE, ["expertise"] = ONCE, ["pincode"] = ONCE, ["name"] = ONCE, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "POST", head = "therapists", path = "^/therapists$", body = "therapist", given = {  }, takes = { ["therapist"] = ONCE, ["therapist.therapistId"] = ONCE, ["therapist.name"] = ONCE, ["therapist.email"] = ONCE, ["therapist.specialty"] = ONCE, ["therapist.pincode"] = ONCE, ["therapist.etag"] = ONCE }, times = {  } },
  { method = "POST", head = "auth", path = "^/auth/register$", body = "*", given = {  }, takes = {  }, times = {  } },
  { method = "POST", head = "auth", path = "^/auth/login$", body = "*", given = {  }, takes = {  }, times = {  } },
  { method = "POST", head = "auth", path = "^/auth/refresh$", body = "*", given = {  }, takes = {  }, times = {  } },
  { method = "POST", head = "auth", path = "^/auth/logout$", body = "*", given = {  }, takes = {  }, times = {  } },
  { method = "GET", head = "auth", path = "^/auth/me$", body = "", given = {  }, takes = {  }, times = {  } },
  { method = "PUT", head = "auth", path = "^/auth/password$", body = "*", given = {  }, takes = {  }, times = {  } },
  { method = "GET", head = ".well-known", path = "^/%.well%-known/jwks%.json$", body = "", given = {  }, takes = {  }, times = {  } },
  { method = "POST", head = "therapists", path = "^/therapists/map%-client$", body = "*", given = {  }, takes = {  }, times = {  } },
  { method = "GET", head = "messages", path = "^/messages/history$", body = "", given = {  }, takes = { ["senderId"] = ONCE, ["receiverId"] = ONCE, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "GET", head = "messages", path = "^/messages/conversations$", body = "", given = {  }, takes = { ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "PUT", head = "messages", path = "^/messages/read$", body = "*", given = {  }, takes = {  }, times = {  } },
  { method = "GET", head = "messages", path = "^/messages/watch$", body = "", given = {  }, takes = { ["peerId"] = ONCE, ["after"] = ONCE }, times = {  } },
  { method = "GET", head = "appointments", path = "^/appointments/[^/]+$", body = "", given = { ["appointmentId"] = true }, takes = { ["appointmentId"] = ONCE }, times = {  } },
  { method = "DELETE", head = "appointments", path = "^/appointments/[^/]+$", body = "", given = { ["appointmentId"] = true }, takes = { ["appointmentId"] = ONCE }, times = {  } },
  { method = "GET", head = "clients", path = "^/clients/[^/]+$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE }, times = {  } },
  { method = "PUT", head = "clients", path = "^/clients/[^/]+$", body = "client", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["client"] = ONCE, ["client.clientId"] = ONCE, ["client.name"] = ONCE, ["client.email"] = ONCE, ["client.pincode"] = ONCE, ["client.etag"] = ONCE }, times = {  } },
  { method = "DELETE", head = "clients", path = "^/clients/[^/]+$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE }, times = {  } },
  { method = "GET", head = "journal", path = "^/journal/[^/]+$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["from"] = TIME, ["to"] = TIME, ["emotion"] = ONCE, ["minIntensity"] = ONCE, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "POST", head = "journal", path = "^/journal/[^/]+$", body = "entry", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["entry"] = ONCE, ["entry.entryId"] = ONCE, ["entry.clientId"] = ONCE, ["entry.emotion"] = ONCE, ["entry.intensity"] = ONCE, ["entry.timestamp"] = TIME, ["entry.note"] = ONCE, ["entry.family"] = ONCE, ["entry.visibility"] = ONCE, ["entry.createdAt"] = TIME, ["entry.updatedAt"] = TIME, ["entry.etag"] = ONCE }, times = { "createdAt", "created_at", "timestamp", "updatedAt", "updated_at" } },
  { method = "DELETE", head = "journal", path = "^/journal/[^/]+$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["entryId"] = ONCE }, times = {  } },
  { method = "POST", head = "mapping", path = "^/mapping/[^/]+$", body = "*", given = { ["clientId"] = true }, takes = {  }, times = {  } },
  { method = "PUT", head = "mapping", path = "^/mapping/[^/]+$", body = "answer", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["therapistId"] = ONCE, ["answer"] = ONCE, ["answer.status"] = ONCE }, times = {  } },
  { method = "DELETE", head = "mapping", path = "^/mapping/[^/]+$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["therapistId"] = ONCE }, times = {  } },
  { method = "GET", head = "mapping", path = "^/mapping/[^/]+$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["journalAccess"] = BOOL, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "GET", head = "sessions", path = "^/sessions/[^/]+$", body = "", given = { ["sessionId"] = true }, takes = { ["sessionId"] = ONCE }, times = {  } },
  { method = "PUT", head = "sessions", path = "^/sessions/[^/]+$", body = "session", given = { ["sessionId"] = true }, takes = { ["sessionId"] = ONCE, ["session"] = ONCE, ["session.sessionId"] = ONCE, ["session.therapistId"] = ONCE, ["session.clientId"] = ONCE, ["session.sessionDate"] = ONCE, ["session.startTime"] = ONCE, ["session.endTime"] = ONCE, ["session.status"] = ONCE, ["session.sharedNotes"] = ONCE, ["session.privateNotes"] = ONCE, ["session.etag"] = ONCE }, times = {  } },
  { method = "DELETE", head = "sessions", path = "^/sessions/[^/]+$", body = "", given = { ["sessionId"] = true }, takes = { ["sessionId"] = ONCE }, times = {  } },
  { method = "GET", head = "therapists", path = "^/therapists/[^/]+$", body = "", given = { ["therapistId"] = true }, takes = { ["therapistId"] = ONCE }, times = {  } },
  { method = "PUT", head = "therapists", path = "^/therapists/[^/]+$", body = "therapist", given = { ["therapistId"] = true }, takes = { ["therapistId"] = ONCE, ["therapist"] = ONCE, ["therapist.therapistId"] = ONCE, ["therapist.name"] = ONCE, ["therapist.email"] = ONCE, ["therapist.specialty"] = ONCE, ["therapist.pincode"] = ONCE, ["therapist.etag"] = ONCE }, times = {  } },
  { method = "DELETE", head = "therapists", path = "^/therapists/[^/]+$", body = "", given = { ["therapistId"] = true }, takes = { ["therapistId"] = ONCE }, times = {  } },
  { method = "GET", head = "appointments", path = "^/appointments/[^/]+/status$", body = "", given = { ["appointmentId"] = true }, takes = { ["appointmentId"] = ONCE }, times = {  } },
  { method = "PUT", head = "appointments", path = "^/appointments/[^/]+/status$", body = "status", given = { ["appointmentId"] = true }, takes = { ["appointmentId"] = ONCE, ["status"] = ONCE, ["status.status"] = ONCE, ["status.etag"] = ONCE }, times = {  } },
  { method = "GET", head = "clients", path = "^/clients/[^/]+/access%-log$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "GET", head = "clients", path = "^/clients/[^/]+/journals$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["from"] = TIME, ["to"] = TIME, ["emotion"] = ONCE, ["minIntensity"] = ONCE, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "POST", head = "clients", path = "^/clients/[^/]+/journals$", body = "entry", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["entry"] = ONCE, ["entry.entryId"] = ONCE, ["entry.clientId"] = ONCE, ["entry.emotion"] = ONCE, ["entry.intensity"] = ONCE, ["entry.timestamp"] = TIME, ["entry.note"] = ONCE, ["entry.family"] = ONCE, ["entry.visibility"] = ONCE, ["entry.createdAt"] = TIME, ["entry.updatedAt"] = TIME, ["entry.etag"] = ONCE }, times = { "createdAt", "created_at", "timestamp", "updatedAt", "updated_at" } },
  { method = "GET", head = "journal", path = "^/journal/[^/]+/insights$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["from"] = TIME, ["to"] = TIME, ["bucket"] = ONCE, ["timeZone"] = ONCE }, times = {  } },
  { method = "POST", head = "mapping", path = "^/mapping/[^/]+/request$", body = "*", given = { ["clientId"] = true }, takes = {  }, times = {  } },
  { method = "DELETE", head = "mapping", path = "^/mapping/[^/]+/access$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["therapistId"] = ONCE }, times = {  } },
  { method = "PUT", head = "journal", path = "^/journal/[^/]+/access$", body = "change", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["therapistId"] = ONCE, ["change"] = ONCE, ["change.access"] = ONCE, ["change.entriesFrom"] = TIME, ["change.expiresAt"] = TIME }, times = { "entriesFrom", "entries_from", "expiresAt", "expires_at" } },
  { method = "GET", head = "mapping", path = "^/mapping/[^/]+/requests$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "GET", head = "clients", path = "^/clients/[^/]+/therapists$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "GET", head = "therapists", path = "^/therapists/[^/]+/clients$", body = "", given = { ["therapistId"] = true }, takes = { ["therapistId"] = ONCE, ["pageSize"] = ONCE, ["pageToken"] = ONCE }, times = {  } },
  { method = "PUT", head = "sessions", path = "^/sessions/[^/]+/notes$", body = "notes", given = { ["sessionId"] = true }, takes = { ["sessionId"] = ONCE, ["notes"] = ONCE, ["notes.privateNotes"] = ONCE, ["notes.sharedNotes"] = ONCE, ["notes.etag"] = ONCE }, times = {  } },
  { method = "GET", head = "journal", path = "^/journal/[^/]+/entries/[^/]+$", body = "", given = { ["clientId"] = true, ["entryId"] = true }, takes = { ["clientId"] = ONCE, ["entryId"] = ONCE }, times = {  } },
  { method = "PUT", head = "journal", path = "^/journal/[^/]+/entries/[^/]+$", body = "entry", given = { ["clientId"] = true, ["entryId"] = true }, takes = { ["clientId"] = ONCE, ["entryId"] = ONCE, ["entry"] = ONCE, ["entry.entryId"] = ONCE, ["entry.clientId"] = ONCE, ["entry.emotion"] = ONCE, ["entry.intensity"] = ONCE, ["entry.timestamp"] = TIME, ["entry.note"] = ONCE, ["entry.family"] = ONCE, ["entry.visibility"] = ONCE, ["entry.createdAt"] = TIME, ["entry.updatedAt"] = TIME, ["entry.etag"] = ONCE }, times = { "createdAt", "created_at", "timestamp", "updatedAt", "updated_at" } },
  { method = "PUT", head = "therapists", path = "^/therapists/[^/]+/clients/[^/]+/journal%-access$", body = "change", given = { ["therapistId"] = true, ["clientId"] = true }, takes = { ["clientId"] = ONCE, ["therapistId"] = ONCE, ["change"] = ONCE, ["change.access"] = ONCE, ["change.entriesFrom"] = TIME, ["change.expiresAt"] = TIME }, times = { "entriesFrom", "entries_from", "expiresAt", "expires_at" } },
}

-- The longest name that is echoed, in bytes.
local ECHO = 64

local by_head = {}
for _, route in ipairs(ROUTES) do
  local head = route.method .. " " .. route.head
  by_head[head] = by_head[head] or {}
  table.insert(by_head[head], route)
end

local function route_of(method, path)
  local head = path:match("^/([^/]*)")
  for _, route in ipairs(by_head[method .. " " .. (head or "")] or by_head[method .. " *"] or {}) do
    if path:find(route.path) then
      return route
    end
  end
  return nil
end

local function decode(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

-- A parameter may have the name of the proto or that of JSON.
local function canonical(name)
  return (name:gsub("_(%w)", string.upper))
end

local LEAP_SECOND = "%d%d%d%d%-%d%d%-%d%d[Tt]%d%d:%d%d:60"

-- Returns the fault of a value that Envoy would take otherwise than JSON does, or whose plus became a space, or nil.
local function fault_of_value(takes, value)
  if takes == BOOL and value ~= "true" and value ~= "false" then
    return { "must be true or false", "MALFORMED" }
  elseif takes == TIME and value:find("^%d+%-%d+%-%d+[Tt]%d+:%d+:[%d.]+ %d+:%d+$") then
    return { "has a + that stands for a space: write + as %2B", "MALFORMED" }
  elseif takes == TIME and value:find("^" .. LEAP_SECOND) then
    return { "must not be in a leap second: the seconds of a minute are 00 to 59", "OUT_OF_RANGE" }
  end
  return nil
end

-- Returns the description and the reason of a parameter's fault, or nil. `seen` has those before it.
local function fault(route, name, value, seen)
  local way = canonical(name)
  local takes = route.takes[way]
  if takes == nil then
    return { "is no parameter of this path", "NOT_ALLOWED" }
  elseif route.body ~= "" and way:match("^[^.]*") == route.body then
    return { "belongs in the body", "NOT_ALLOWED" }
  elseif route.given[way] then
    return { "is given by the path", "NOT_ALLOWED" }
  end
  local wrong = fault_of_value(takes, value)
  if wrong == nil and takes ~= REPEATED and seen[way] then
    return { "is given more than once", "NOT_ALLOWED" }
  end
  seen[way] = true
  return wrong
end

local function quote(text)
  local escaped = text:gsub('[%c"\\]', function(character)
    return string.format("\\u%04x", character:byte())
  end)
  return '"' .. escaped .. '"'
end

-- The beginning of a name, cut between two characters.
local function echo(name)
  return (name:sub(1, ECHO):gsub("[\192-\255][\128-\191]*$", function(last)
    return #name > ECHO and "" or last
  end))
end

local function refusal(faults, request_id)
  local sentences, violations = {}, {}
  for at, wrong in ipairs(faults) do
    local what, why = unpack(wrong.fault)
    sentences[at] = wrong.name .. " " .. what
    violations[at] = '{"field":' .. quote(wrong.name) .. ',"description":' .. quote(what) .. ',"reason":"' .. why .. '"}'
  end
  return '{"code":3,"message":'
    .. quote(table.concat(sentences, "; "))
    .. ',"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"INVALID_FIELDS","domain":"therapy","metadata":{}}'
    .. ',{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":['
    .. table.concat(violations, ",")
    .. ']},{"@type":"type.googleapis.com/google.rpc.RequestInfo","requestId":"'
    .. request_id
    .. '","servingData":""}]}'
end

-- Makes leap seconds in the body what the transcoder refuses. It reads the body as it comes, and so finds none that comes
-- in two pieces.
local function spoil_leap_seconds(handle, times)
  for chunk in handle:bodyChunks() do
    local text = chunk:getBytes(0, chunk:length())
    if text:find(":60", 1, true) then
      local spoilt = text
      for _, name in ipairs(times) do
        spoilt = spoilt:gsub('"' .. name .. '"%s*:%s*"' .. LEAP_SECOND, function(leap)
          return leap:sub(1, -3) .. "61"
        end)
      end
      if spoilt ~= text then
        chunk:setBytes(spoilt)
      end
    end
  end
end

-- Refuses the parameters of a query, and returns true, or gives those without a value an empty one.
local function refuses_query(handle, route, path, query)
  local headers = handle:headers()
  local faults, seen, pairs = {}, {}, {}
  for pair in query:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    name = decode(name)
    local wrong = fault(route, name, decode(value), seen)
    if wrong ~= nil then
      faults[#faults + 1] = { name = echo(name), fault = wrong }
    end
    -- A name alone has an empty value: the transcoder would pass it over.
    pairs[#pairs + 1] = pair:find("=", 1, true) and pair or pair .. "="
  end
  if #faults > 0 then
    handle:streamInfo():dynamicMetadata():set("front", "refused", true)
    handle:respond({ [":status"] = "400" }, refusal(faults, headers:get("x-request-id")))
    return true
  end
  local whole = path .. "?" .. table.concat(pairs, "&")
  if whole ~= headers:get(":path") then
    headers:replace(":path", whole)
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, query = (headers:get(":path") or ""):match("^([^?]*)%??(.*)$")
  -- The transcoder passes over slashes at the end.
  local route = route_of(headers:get(":method"), (path:gsub("/+$", "")))
  if not route or query ~= "" and refuses_query(handle, route, path, query) then
    return
  end
  if #route.times > 0 then
    spoil_leap_seconds(handle, route.times)
  end
end
