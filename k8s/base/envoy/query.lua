-- Rejects query parameters that the route does not take: Envoy's transcoder would let a parameter override the path and
-- the body. Runs after front.lua, which has seen to it that the path can be decoded and makes the answer whole.

-- The routes, the more literal first: the body of each ("*", a field or nothing), the fields that the path gives, and
-- the parameters that it takes, 1 for once and 2 for repeated.
local ROUTES = {
  { method = "GET", head = "appointments", path = "^/appointments$", body = "", given = {  }, takes = { ["clientId"] = 1, ["therapistId"] = 1, ["status"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "POST", head = "appointments", path = "^/appointments$", body = "*", given = {  }, takes = {  } },
  { method = "GET", head = "clients", path = "^/clients$", body = "", given = {  }, takes = { ["email"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "POST", head = "clients", path = "^/clients$", body = "client", given = {  }, takes = { ["client"] = 1, ["client.clientId"] = 1, ["client.name"] = 1, ["client.email"] = 1, ["client.pincode"] = 1, ["client.etag"] = 1 } },
  { method = "GET", head = "emotions", path = "^/emotions$", body = "", given = {  }, takes = {  } },
  { method = "POST", head = "invitations", path = "^/invitations$", body = "*", given = {  }, takes = {  } },
  { method = "POST", head = "messages", path = "^/messages$", body = "*", given = {  }, takes = {  } },
  { method = "GET", head = "search", path = "^/search$", body = "", given = {  }, takes = { ["q"] = 1, ["in"] = 2, ["clientId"] = 1, ["from"] = 1, ["to"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "GET", head = "sessions", path = "^/sessions$", body = "", given = {  }, takes = { ["therapistId"] = 1, ["clientId"] = 1, ["status"] = 1, ["afterDate"] = 1, ["beforeDate"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "POST", head = "sessions", path = "^/sessions$", body = "session", given = {  }, takes = { ["session"] = 1, ["session.sessionId"] = 1, ["session.therapistId"] = 1, ["session.clientId"] = 1, ["session.sessionDate"] = 1, ["session.startTime"] = 1, ["session.endTime"] = 1, ["session.status"] = 1, ["session.sharedNotes"] = 1, ["session.privateNotes"] = 1, ["session.etag"] = 1 } },
  { method = "GET", head = "therapists", path = "^/therapists$", body = "", given = {  }, takes = { ["specialty"] = 1, ["expertise"] = 1, ["pincode"] = 1, ["name"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "POST", head = "therapists", path = "^/therapists$", body = "therapist", given = {  }, takes = { ["therapist"] = 1, ["therapist.therapistId"] = 1, ["therapist.name"] = 1, ["therapist.email"] = 1, ["therapist.specialty"] = 1, ["therapist.pincode"] = 1, ["therapist.etag"] = 1 } },
  { method = "POST", head = "auth", path = "^/auth/register$", body = "*", given = {  }, takes = {  } },
  { method = "POST", head = "auth", path = "^/auth/login$", body = "*", given = {  }, takes = {  } },
  { method = "POST", head = "auth", path = "^/auth/refresh$", body = "*", given = {  }, takes = {  } },
  { method = "POST", head = "auth", path = "^/auth/logout$", body = "*", given = {  }, takes = {  } },
  { method = "GET", head = "auth", path = "^/auth/me$", body = "", given = {  }, takes = {  } },
  { method = "PUT", head = "auth", path = "^/auth/password$", body = "*", given = {  }, takes = {  } },
  { method = "GET", head = ".well-known", path = "^/%.well%-known/jwks%.json$", body = "", given = {  }, takes = {  } },
  { method = "POST", head = "therapists", path = "^/therapists/map%-client$", body = "*", given = {  }, takes = {  } },
  { method = "GET", head = "messages", path = "^/messages/history$", body = "", given = {  }, takes = { ["senderId"] = 1, ["receiverId"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "GET", head = "messages", path = "^/messages/conversations$", body = "", given = {  }, takes = { ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "PUT", head = "messages", path = "^/messages/read$", body = "*", given = {  }, takes = {  } },
  { method = "GET", head = "messages", path = "^/messages/watch$", body = "", given = {  }, takes = { ["peerId"] = 1, ["after"] = 1 } },
  { method = "GET", head = "appointments", path = "^/appointments/[^/]+$", body = "", given = { ["appointmentId"] = true }, takes = { ["appointmentId"] = 1 } },
  { method = "DELETE", head = "appointments", path = "^/appointments/[^/]+$", body = "", given = { ["appointmentId"] = true }, takes = { ["appointmentId"] = 1 } },
  { method = "GET", head = "clients", path = "^/clients/[^/]+$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = 1 } },
  { method = "PUT", head = "clients", path = "^/clients/[^/]+$", body = "client", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["client"] = 1, ["client.clientId"] = 1, ["client.name"] = 1, ["client.email"] = 1, ["client.pincode"] = 1, ["client.etag"] = 1 } },
  { method = "DELETE", head = "clients", path = "^/clients/[^/]+$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = 1 } },
  { method = "GET", head = "journal", path = "^/journal/[^/]+$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["from"] = 1, ["to"] = 1, ["emotion"] = 1, ["minIntensity"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "POST", head = "journal", path = "^/journal/[^/]+$", body = "entry", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["entry"] = 1, ["entry.entryId"] = 1, ["entry.clientId"] = 1, ["entry.emotion"] = 1, ["entry.intensity"] = 1, ["entry.timestamp"] = 1, ["entry.note"] = 1, ["entry.family"] = 1, ["entry.visibility"] = 1, ["entry.createdAt"] = 1, ["entry.updatedAt"] = 1, ["entry.etag"] = 1 } },
  { method = "DELETE", head = "journal", path = "^/journal/[^/]+$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["entryId"] = 1 } },
  { method = "POST", head = "mapping", path = "^/mapping/[^/]+$", body = "*", given = { ["clientId"] = true }, takes = {  } },
  { method = "PUT", head = "mapping", path = "^/mapping/[^/]+$", body = "answer", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["therapistId"] = 1, ["answer"] = 1, ["answer.status"] = 1 } },
  { method = "DELETE", head = "mapping", path = "^/mapping/[^/]+$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["therapistId"] = 1 } },
  { method = "GET", head = "mapping", path = "^/mapping/[^/]+$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["journalAccess"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "GET", head = "sessions", path = "^/sessions/[^/]+$", body = "", given = { ["sessionId"] = true }, takes = { ["sessionId"] = 1 } },
  { method = "PUT", head = "sessions", path = "^/sessions/[^/]+$", body = "session", given = { ["sessionId"] = true }, takes = { ["sessionId"] = 1, ["session"] = 1, ["session.sessionId"] = 1, ["session.therapistId"] = 1, ["session.clientId"] = 1, ["session.sessionDate"] = 1, ["session.startTime"] = 1, ["session.endTime"] = 1, ["session.status"] = 1, ["session.sharedNotes"] = 1, ["session.privateNotes"] = 1, ["session.etag"] = 1 } },
  { method = "DELETE", head = "sessions", path = "^/sessions/[^/]+$", body = "", given = { ["sessionId"] = true }, takes = { ["sessionId"] = 1 } },
  { method = "GET", head = "therapists", path = "^/therapists/[^/]+$", body = "", given = { ["therapistId"] = true }, takes = { ["therapistId"] = 1 } },
  { method = "PUT", head = "therapists", path = "^/therapists/[^/]+$", body = "therapist", given = { ["therapistId"] = true }, takes = { ["therapistId"] = 1, ["therapist"] = 1, ["therapist.therapistId"] = 1, ["therapist.name"] = 1, ["therapist.email"] = 1, ["therapist.specialty"] = 1, ["therapist.pincode"] = 1, ["therapist.etag"] = 1 } },
  { method = "DELETE", head = "therapists", path = "^/therapists/[^/]+$", body = "", given = { ["therapistId"] = true }, takes = { ["therapistId"] = 1 } },
  { method = "GET", head = "appointments", path = "^/appointments/[^/]+/status$", body = "", given = { ["appointmentId"] = true }, takes = { ["appointmentId"] = 1 } },
  { method = "PUT", head = "appointments", path = "^/appointments/[^/]+/status$", body = "status", given = { ["appointmentId"] = true }, takes = { ["appointmentId"] = 1, ["status"] = 1, ["status.status"] = 1, ["status.etag"] = 1 } },
  { method = "GET", head = "clients", path = "^/clients/[^/]+/access%-log$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "GET", head = "clients", path = "^/clients/[^/]+/journals$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["from"] = 1, ["to"] = 1, ["emotion"] = 1, ["minIntensity"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "POST", head = "clients", path = "^/clients/[^/]+/journals$", body = "entry", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["entry"] = 1, ["entry.entryId"] = 1, ["entry.clientId"] = 1, ["entry.emotion"] = 1, ["entry.intensity"] = 1, ["entry.timestamp"] = 1, ["entry.note"] = 1, ["entry.family"] = 1, ["entry.visibility"] = 1, ["entry.createdAt"] = 1, ["entry.updatedAt"] = 1, ["entry.etag"] = 1 } },
  { method = "GET", head = "journal", path = "^/journal/[^/]+/insights$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["from"] = 1, ["to"] = 1, ["bucket"] = 1, ["timeZone"] = 1 } },
  { method = "POST", head = "mapping", path = "^/mapping/[^/]+/request$", body = "*", given = { ["clientId"] = true }, takes = {  } },
  { method = "DELETE", head = "mapping", path = "^/mapping/[^/]+/access$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["therapistId"] = 1 } },
  { method = "PUT", head = "journal", path = "^/journal/[^/]+/access$", body = "change", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["therapistId"] = 1, ["change"] = 1, ["change.access"] = 1, ["change.entriesFrom"] = 1, ["change.expiresAt"] = 1 } },
  { method = "GET", head = "mapping", path = "^/mapping/[^/]+/requests$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "GET", head = "clients", path = "^/clients/[^/]+/therapists$", body = "", given = { ["clientId"] = true }, takes = { ["clientId"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "GET", head = "therapists", path = "^/therapists/[^/]+/clients$", body = "", given = { ["therapistId"] = true }, takes = { ["therapistId"] = 1, ["pageSize"] = 1, ["pageToken"] = 1 } },
  { method = "PUT", head = "sessions", path = "^/sessions/[^/]+/notes$", body = "notes", given = { ["sessionId"] = true }, takes = { ["sessionId"] = 1, ["notes"] = 1, ["notes.privateNotes"] = 1, ["notes.sharedNotes"] = 1, ["notes.etag"] = 1 } },
  { method = "GET", head = "journal", path = "^/journal/[^/]+/entries/[^/]+$", body = "", given = { ["clientId"] = true, ["entryId"] = true }, takes = { ["clientId"] = 1, ["entryId"] = 1 } },
  { method = "PUT", head = "journal", path = "^/journal/[^/]+/entries/[^/]+$", body = "entry", given = { ["clientId"] = true, ["entryId"] = true }, takes = { ["clientId"] = 1, ["entryId"] = 1, ["entry"] = 1, ["entry.entryId"] = 1, ["entry.clientId"] = 1, ["entry.emotion"] = 1, ["entry.intensity"] = 1, ["entry.timestamp"] = 1, ["entry.note"] = 1, ["entry.family"] = 1, ["entry.visibility"] = 1, ["entry.createdAt"] = 1, ["entry.updatedAt"] = 1, ["entry.etag"] = 1 } },
  { method = "PUT", head = "therapists", path = "^/therapists/[^/]+/clients/[^/]+/journal%-access$", body = "change", given = { ["therapistId"] = true, ["clientId"] = true }, takes = { ["clientId"] = 1, ["therapistId"] = 1, ["change"] = 1, ["change.access"] = 1, ["change.entriesFrom"] = 1, ["change.expiresAt"] = 1 } },
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

-- Returns the fault of a parameter, or nil. `seen` has those before it.
local function fault(route, name, seen)
  local way = canonical(name)
  local takes = route.takes[way]
  if takes == nil then
    return "is no parameter of this path"
  elseif route.body ~= "" and way:match("^[^.]*") == route.body then
    return "belongs in the body"
  elseif route.given[way] then
    return "is given by the path"
  elseif takes == 1 and seen[way] then
    return "is given more than once"
  end
  seen[way] = true
  return nil
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

local function refusal(faults)
  local sentences, violations = {}, {}
  for at, wrong in ipairs(faults) do
    sentences[at] = wrong.name .. " " .. wrong.what
    violations[at] = '{"field":' .. quote(wrong.name) .. ',"description":' .. quote(wrong.what) .. ',"reason":"NOT_ALLOWED"}'
  end
  return '{"code":3,"message":'
    .. quote(table.concat(sentences, "; "))
    .. ',"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"INVALID_FIELDS","domain":"therapy","metadata":{}}'
    .. ',{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":['
    .. table.concat(violations, ",")
    .. "]}]}"
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, query = (headers:get(":path") or ""):match("^([^?]*)%?(.*)$")
  -- The transcoder passes over slashes at the end.
  local route = query and route_of(headers:get(":method"), (path:gsub("/+$", "")))
  if not route then
    return
  end
  local faults, seen, pairs = {}, {}, {}
  for pair in query:gmatch("[^&]+") do
    local name = decode(pair:match("^[^=]*"))
    local what = fault(route, name, seen)
    if what ~= nil then
      faults[#faults + 1] = { name = echo(name), what = what }
    end
    -- A name alone has an empty value: the transcoder would pass it over.
    pairs[#pairs + 1] = pair:find("=", 1, true) and pair or pair .. "="
  end
  if #faults > 0 then
    handle:streamInfo():dynamicMetadata():set("front", "refused", true)
    return handle:respond({ [":status"] = "400" }, refusal(faults))
  end
  local whole = path .. "?" .. table.concat(pairs, "&")
  if whole ~= headers:get(":path") then
    headers:replace(":path", whole)
  end
end
