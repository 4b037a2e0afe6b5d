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

-- Headers: the lists of those that pass, the kinds of calls that they tell, and deadlines.

-- Headers that pass from a caller to a service. No other header does (claimed identities, tokens of services, binary
-- metadata). Without the lines about framing, Envoy could not read the body.
local INWARDS = {
  ["authorization"] = true,
  ["idempotency-key"] = true,
  ["if-match"] = true,
  ["if-none-match"] = true,
  ["last-event-id"] = true,
  ["traceparent"] = true,
  ["tracestate"] = true,
  ["x-request-id"] = true,
  ["grpc-accept-encoding"] = true,
  ["grpc-encoding"] = true,
  ["grpc-timeout"] = true,
  ["te"] = true,
  ["content-type"] = true,
  ["content-length"] = true,
  ["transfer-encoding"] = true,
  ["expect"] = true,
  -- Of gRPC-Web: in which form the answer goes. The route takes it away.
  ["accept"] = true,
  -- Envoy's own: it has replaced what came from outside.
  ["x-forwarded-for"] = true,
  ["x-forwarded-proto"] = true,
}

-- Headers that pass from a service to a caller, over REST and over gRPC.
local OUTWARDS = {
  ["cache-control"] = true,
  ["etag"] = true,
  ["retry-after"] = true,
  ["x-next-page-token"] = true,
  ["x-request-id"] = true,
  ["www-authenticate"] = true,
  ["content-type"] = true,
  ["content-length"] = true,
  ["transfer-encoding"] = true,
  ["connection"] = true,
  ["date"] = true,
}
local OUTWARDS_GRPC = {
  ["grpc-accept-encoding"] = true,
  ["grpc-encoding"] = true,
  ["grpc-status"] = true,
  ["grpc-message"] = true,
  ["grpc-status-details-bin"] = true,
}

-- Removes all headers but the pseudo-headers and those on one of the lists.
local function keep(headers, list, more)
  local refused = {}
  for name, _ in pairs(headers) do
    if name:byte(1) ~= 58 and not list[name] and not (more and more[name]) then
      refused[#refused + 1] = name
    end
  end
  for _, name in ipairs(refused) do
    headers:remove(name)
  end
end

-- Returns whether a request id is well-formed. Repeated headers are joined with commas, which it has none of.
local function is_request_id(id)
  return id ~= nil and #id <= 128 and id:find("^[%w._-]+$") ~= nil
end

-- Returns the id of the trace that a traceparent names (W3C Trace Context); none of a malformed one.
local function trace_of(traceparent)
  local version, trace, span = (traceparent or ""):match("^(%x%x)%-(%x+)%-(%x+)%-%x%x")
  local is_valid = trace ~= nil
    and version ~= "ff"
    and #trace == 32
    and #span == 16
    and trace:find("[^0]") ~= nil
    and not traceparent:find("%u")
  return is_valid and trace or nil
end

local function is_grpc(content_type)
  return content_type ~= nil and (content_type == "application/grpc" or content_type:find("^application/grpc[+;]") ~= nil)
end

local GRPC_WEB = {
  ["application/grpc-web"] = true,
  ["application/grpc-web+proto"] = true,
  ["application/grpc-web-text"] = true,
  ["application/grpc-web-text+proto"] = true,
}

-- The longest deadline for a service, in milliseconds: a little less than the route's, so that the service gives up first.
local LONGEST = 14500

local MILLISECONDS = { H = 3600000, M = 60000, S = 1000, m = 1, u = 0.001, n = 0.000001 }

-- Returns whether the front grants a deadline: it must be well-formed, and no later than the front's own.
local function is_granted(timeout)
  local amount, unit = timeout:match("^(%d%d?%d?%d?%d?%d?%d?%d?)([HMSmun])$")
  return amount ~= nil and tonumber(amount) * MILLISECONDS[unit] <= LONGEST
end

-- CORS, as the embedded front has it.

-- The origin of the page that asks, if it is one of those that may (the Fetch standard, "CORS protocol").
local function origin_of(handle, headers)
  local origin = headers:get("origin")
  if origin == nil then
    return nil
  end
  local settings = handle:streamInfo():dynamicMetadata():get("front.settings")
  for allowed in settings["origins"]:gmatch("%S+") do
    local host = allowed:match("^(.+):%*$")
    local port = host ~= nil and origin:sub(1, #host) == host and origin:sub(#host + 1)
    if allowed == "*" or allowed == origin or port and (port == "" or port:find("^:%d+$")) then
      return origin
    end
  end
  return nil
end

-- Lets a page of this origin read an answer.
local function show(headers, origin)
  headers:replace("access-control-allow-origin", origin)
  headers:replace("access-control-expose-headers", "cache-control, etag, retry-after, x-next-page-token, x-request-id, grpc-status, grpc-message, grpc-status-details-bin")
end

-- Tells caches that answers differ by origin, once there are origins whose pages may call: also of an answer to a request
-- without one, which a cache would show to a page else.
local function vary(handle, headers)
  local settings = handle:streamInfo():dynamicMetadata():get("front.settings") or {}
  if (settings["origins"] or "") ~= "" then
    headers:add("vary", "origin")
  end
end

-- Headers of the answer to a preflight request.
local PREFLIGHT = {
  [":status"] = "200",
  ["access-control-allow-methods"] = "GET, POST, PUT, DELETE",
  ["access-control-allow-headers"] = "authorization, idempotency-key, if-match, if-none-match, last-event-id, traceparent, tracestate, x-request-id, content-type, grpc-timeout, x-grpc-web, x-user-agent",
  ["access-control-max-age"] = "600",
}
local OUTWARDS_PREFLIGHT = {
  ["access-control-allow-methods"] = true,
  ["access-control-allow-headers"] = true,
  ["access-control-max-age"] = true,
}

-- Paths and bodies: checks of those of requests, and access to those of answers.

-- Returns whether `text` is UTF-8 without a NUL once percent-decoded. A service could only answer INTERNAL to another.
local function is_decodable(text)
  if text:gsub("%%%x%x", ""):find("%", 1, true) then
    return false
  end
  local more, low, high = 0, 0, 0
  local decoded = text:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  if not decoded:find("[%z\128-\255]") then
    return true
  end
  for at = 1, #decoded do
    local byte = decoded:byte(at)
    if more > 0 then
      if byte < low or byte > high then
        return false
      end
      more, low, high = more - 1, 0x80, 0xBF
    elseif byte >= 0xC2 and byte <= 0xDF then
      more, low, high = 1, 0x80, 0xBF
    elseif byte >= 0xE0 and byte <= 0xEF then
      more, low, high = 2, byte == 0xE0 and 0xA0 or 0x80, byte == 0xED and 0x9F or 0xBF
    elseif byte >= 0xF0 and byte <= 0xF4 then
      more, low, high = 3, byte == 0xF0 and 0x90 or 0x80, byte == 0xF4 and 0x8F or 0xBF
    elseif byte == 0 or byte >= 0x80 then
      return false
    end
  end
  return more == 0
end

-- Returns whether the body, if there is one, is JSON without content coding. A body without a type counts as JSON.
local function is_json(headers)
  local length = headers:get("content-length")
  if (length == nil or length == "0") and headers:get("transfer-encoding") == nil then
    return true
  end
  local encoding = headers:get("content-encoding")
  local kind = (headers:get("content-type") or ""):lower()
  return (encoding == nil or encoding:lower() == "identity")
    and (kind == "" or kind:find("^application/json%s*$") ~= nil or kind:find("^application/json%s*;") ~= nil)
end

local function body_of(handle)
  local body = handle:body(true)
  return body:getBytes(0, body:length())
end

-- Replaces the body. What was fetched of the headers before is stale then.
local function set_body(handle, text, content_type)
  local length = handle:body(true):setBytes(text)
  local headers = handle:headers()
  headers:replace("content-length", tostring(length))
  if content_type ~= nil then
    headers:replace("content-type", content_type)
  end
end

-- Paths with GET that take HEAD too.
local HEAD_TOO = {
  ["/healthz"] = true,
  ["/.well-known/jwks.json"] = true,
}

-- Drops the body of the answer to a HEAD request. Its length stays.
local function drop_body(handle)
  local length = handle:body(true):length()
  if length > 0 then
    set_body(handle, "")
    handle:headers():replace("content-length", tostring(length))
  end
end

-- The name that JSON gives to a field of a message.
local function json_name(field)
  return (field:gsub("_(%l)", string.upper))
end

-- The position after the JSON string that opens at `at`.
local function skip_string(json, at)
  at = at + 1
  while true do
    local stop = json:find('["\\]', at)
    if stop == nil then
      return nil
    elseif json:byte(stop) == 34 then
      return stop + 1
    end
    at = stop + 2
  end
end

-- The position after the JSON value that begins at `at`, an object or an array.
local function skip_nested(json, at)
  local depth = 0
  while true do
    at = json:find('["%[%]{}]', at)
    if at == nil then
      return nil
    end
    local byte = json:byte(at)
    if byte == 34 then
      at = skip_string(json, at)
      if at == nil then
        return nil
      end
    else
      depth = depth + ((byte == 91 or byte == 123) and 1 or -1)
      at = at + 1
      if depth == 0 then
        return at
      end
    end
  end
end

-- The bytes of the array that the top-level object `json` holds as `field`; an empty one if it holds none.
local function array_of(json, field)
  local at = json:find("{", 1, true)
  while at ~= nil do
    local open = json:find('["}]', at)
    if open == nil or json:byte(open) ~= 34 then
      break
    end
    local close = skip_string(json, open)
    local value = close and json:find("[^%s:]", close)
    if value == nil then
      break
    end
    local first = json:byte(value)
    local after
    if first == 91 or first == 123 then
      after = skip_nested(json, value)
    elseif first == 34 then
      after = skip_string(json, value)
    else
      after = json:find("[,}]", value)
    end
    if after == nil then
      break
    end
    if first == 91 and json:sub(open + 1, close - 2) == field then
      return json:sub(value, after - 1)
    end
    at = after
  end
  return "[]"
end

-- Errors as google.rpc.Status: the front's own, and those that Envoy's filters answer.

-- The id of the request; empty if the request was answered before front.lua saw it.
local function request_id_of(handle)
  return (handle:streamInfo():dynamicMetadata():get("front") or {})["request_id"] or ""
end

-- A google.rpc.Status as JSON, with an ErrorInfo, if a field is at fault a BadRequest with the description and the reason of the
-- fault, and the id of the request. All arguments are ours or plain names: nothing has to be escaped.
local function status(handle, code, reason, message, field, fault)
  local details = '{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"' .. reason .. '","domain":"therapy","metadata":{}}'
  if field ~= nil then
    details = details
      .. ',{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"'
      .. field
      .. '","description":"'
      .. fault[2]
      .. '","reason":"'
      .. fault[3]
      .. '"}]}'
  end
  if code == 14 then
    details = details .. ',{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1s"}'
  end
  details = details
    .. ',{"@type":"type.googleapis.com/google.rpc.RequestInfo","requestId":"'
    .. request_id_of(handle)
    .. '","servingData":""}'
  return '{"code":' .. code .. ',"message":"' .. message .. '","details":[' .. details .. "]}"
end

-- A field of a protobuf message whose value is bytes of less than 16 KiB.
local function protobuf(number, bytes)
  local length = #bytes < 128 and string.char(#bytes) or string.char(#bytes % 128 + 128, math.floor(#bytes / 128))
  return string.char(number * 8 + 2) .. length .. bytes
end

local function any(name, bytes)
  return protobuf(3, protobuf(1, "type.googleapis.com/google.rpc." .. name) .. protobuf(2, bytes))
end

-- Encodes the error of a native call as a service would: a google.rpc.Status with its details.
local function describe_native(handle, code, reason, message, retry)
  local bytes = string.char(8, code) .. protobuf(2, message) .. any("ErrorInfo", protobuf(1, reason) .. protobuf(2, "therapy"))
  if retry then
    bytes = bytes .. any("RetryInfo", protobuf(1, string.char(8, 1)))
  end
  bytes = bytes .. any("RequestInfo", protobuf(1, request_id_of(handle)))
  local headers = handle:headers()
  headers:replace("grpc-status", tostring(code))
  headers:replace("grpc-message", message)
  headers:replace("grpc-status-details-bin", (handle:base64Escape(bytes):gsub("=", "")))
end

-- Answers in place of a service. The mark keeps Envoy from putting words of its own in the body; the text for a native
-- call becomes its grpc-message.
local function refuse(handle, native, http, code, reason, message)
  handle:streamInfo():dynamicMetadata():set("front", "refused", true)
  handle:streamInfo():dynamicMetadata():set("front", "code", code)
  handle:streamInfo():dynamicMetadata():set("front", "reason", reason)
  handle:respond({ [":status"] = http }, native and message or status(handle, code, reason, message))
end

-- Messages of Envoy's token verifier, and those of the services for the same errors.
local UNAVAILABLE = { "503", 14, "UNAVAILABLE", "the service can't answer right now; try again" }
local TOKEN_INVALID = { "401", 16, "TOKEN_INVALID", "authorization: the access token is not valid; log in again" }
local TOKENS = {
  ["Jwt is missing"] = { "401", 16, "TOKEN_MISSING", "authorization: send `Bearer` and an access token" },
  ["Jwt is expired"] = { "401", 16, "TOKEN_EXPIRED", "authorization: the access token has expired; refresh it" },
  -- A token can't be verified while auth can't be asked for its keys.
  ["Jwks remote fetch is failed"] = UNAVAILABLE,
}

-- Envoy's local replies to native calls, and those of the services for the same errors.
local NATIVE = {
  ["8 local_rate_limited"] = { 8, "RESOURCE_EXHAUSTED", "too much was asked; wait and try again" },
  -- 429, as Envoy converts it for gRPC-Web.
  ["14 local_rate_limited"] = { 8, "RESOURCE_EXHAUSTED", "too much was asked; wait and try again" },
  ["2 content length too large"] = { 3, "MESSAGE_TOO_LARGE", "the message is larger than the service takes" },
  ["2 Payload Too Large"] = { 3, "MESSAGE_TOO_LARGE", "the message is larger than the service takes" },
  ["4 the service can't answer right now; try again"] = { 4, "DEADLINE_EXCEEDED", "the time given to the request is over" },
  ["14 the service can't answer right now; try again"] = { 14, "UNAVAILABLE", UNAVAILABLE[4] },
}

-- Describes a refusal to a page: to Envoy, a call that is refused before its gRPC-Web filter is no gRPC call.
local function describe_page(handle, front)
  local message = body_of(handle)
  set_body(handle, "", front["page"])
  handle:headers():replace(":status", "200")
  describe_native(handle, front["code"], front["reason"], message)
end

local function describe_own(handle, front)
  local headers = handle:headers()
  local code, message = headers:get("grpc-status"), headers:get("grpc-message") or ""
  if code == nil and front["page"] ~= nil and front["reason"] ~= nil then
    return describe_page(handle, front)
  elseif code == nil then
    return
  end
  -- gRPC has one status of HTTP for all that it answers.
  headers:replace(":status", "200")
  if headers:get("grpc-status-details-bin") ~= nil then
    return
  end
  local own = NATIVE[code .. " " .. message]
  if front["reason"] ~= nil then
    describe_native(handle, front["code"], front["reason"], message)
  elseif code == "16" and message ~= "" or message:find("^Audiences in Jwt") then
    local _, number, reason, text = unpack(TOKENS[message] or TOKEN_INVALID)
    describe_native(handle, number, reason, text, number == 14)
  elseif own ~= nil then
    describe_native(handle, own[1], own[2], own[3], own[1] == 8 or own[1] == 14)
  end
end

-- Patterns of the transcoder's sentences about a field, our descriptions of the fault, and its reasons.
local FAULTS = {
  { '^Could not find field "([%w_]+)"', "is no parameter of this path", "NOT_ALLOWED", as_sent = true },
  { '^Encountered a non%-leaf field "([%w_]+)"', "is no parameter of this path", "NOT_ALLOWED", as_sent = true },
  { "Cannot set '([%w_]+)' for type oneof", "excludes a field that is set already", "NOT_ALLOWED" },
  { "Starting an object on a scalar field for type ([%w_]+)$", "has a value of the wrong type", "MALFORMED" },
  { "^([%w_%.%[%]]+): ", "has a value of the wrong type", "MALFORMED" },
}

-- The fault of a body that is another JSON value.
local NO_OBJECT = { "Root element must be a message", "must be a JSON object", "MALFORMED" }

-- The path of a field as the caller sees it: without the field of the message that the body is.
local function path_of(field, bodies)
  local first, rest = field:match("^([%w_]+)%.(.+)$")
  local is_body = first ~= nil and (" " .. bodies .. " "):find(" " .. first .. " ", 1, true)
  return json_name(is_body and rest or field)
end

-- The transcoder's sentence quotes what was sent, which may be what a person wrote: only the name of the field stays.
-- `bodies` names the fields that bodies are, with spaces between them.
local function refusal(handle, sentence, bodies)
  if sentence:find(NO_OBJECT[1], 1, true) then
    return status(handle, 3, "INVALID_FIELDS", "body " .. NO_OBJECT[2], "body", NO_OBJECT)
  end
  for _, fault in ipairs(FAULTS) do
    local field = sentence:match(fault[1])
    if field ~= nil then
      field = fault.as_sent and field or path_of(field, bodies)
      return status(handle, 3, "INVALID_FIELDS", field .. " " .. fault[2], field, fault)
    end
  end
  return status(handle, 3, "MALFORMED_JSON", "the body is not JSON, or not of the form that this path takes")
end

-- Sets the HTTP headers of an error.
local function describe_error(handle, http)
  if http == "401" then
    handle:headers():replace("www-authenticate", "Bearer")
    return
  end
  handle:headers():remove("www-authenticate")
  if http == "429" or http == "503" then
    local whole, part = body_of(handle):match('/google%.rpc%.RetryInfo","retryDelay":"(%d+)%.?(%d*)s"')
    if whole ~= nil then
      handle:headers():replace("retry-after", tostring(tonumber(whole) + (part == "" and 0 or 1)))
    end
  end
end

-- Does what Envoy's own filters can't: the success codes 201, 202 and 204, and 304, lists as top-level arrays, errors as
-- google.rpc.Status, CORS as the embedded front has it, and allowlists of metadata. Runs first, so it sees requests as they
-- came and answers as they leave.

function envoy_on_request(handle)
  local headers = handle:headers()
  local front = handle:streamInfo():dynamicMetadata()
  local content_type, method = headers:get("content-type"), headers:get(":method")
  local is_page = method == "POST" and GRPC_WEB[content_type]
  local native = is_page or is_grpc(content_type)
  front:set("front", "method", method)
  front:set("front", "native", native)
  if is_page then
    front:set("front", "page", content_type)
  end

  -- Before anything is refused: every answer and every error has it.
  local new = headers:get("x-new-request-id")
  if not is_request_id(headers:get("x-request-id")) then
    headers:replace("x-request-id", new)
  end
  front:set("front", "request_id", headers:get("x-request-id"))
  -- Log lines have a trace also where no spans are made. Where they are, Envoy writes its own over this one.
  if not trace_of(headers:get("traceparent")) then
    local digits = new:gsub("-", "")
    headers:replace("traceparent", "00-" .. digits .. "-" .. digits:sub(1, 16) .. "-01")
  end
  front:set("front", "trace_id", trace_of(headers:get("traceparent")))

  local authority, path = headers:get(":authority") or "", headers:get(":path") or ""
  -- Envoy joins repeated headers with commas, and no host has one.
  if authority:find(",", 1, true) then
    return refuse(handle, native, "400", 3, "MALFORMED_REQUEST",
      "the path, the query or a header is malformed, or can be read in more than one way")
  elseif not is_probe(path) and not is_own_host(handle, authority) then
    return refuse(handle, native, "403", 7, "HOST_NOT_ALLOWED",
      "host: this is no name of this front; its operator lists those that it answers to")
  end

  local origin = (is_page or not native) and origin_of(handle, headers)
  local is_preflight = method == "OPTIONS" and not native and headers:get("access-control-request-method") ~= nil
  if origin then
    front:set("front", "origin", origin)
    if is_preflight then
      front:set("front", "preflight", true)
      return handle:respond(PREFLIGHT, "")
    end
  elseif is_preflight and headers:get("origin") ~= nil then
    return refuse(handle, native, "403", 7, "ORIGIN_NOT_ALLOWED",
      "origin: pages of this origin may not call; the operator allows them by MESH_CORS_ORIGINS, or "
        .. "--cors-origins of Envoy's configuration")
  end

  local authorization = headers:get("authorization") or ""
  -- No token has a comma either.
  if authorization:find(",", 1, true) then
    return refuse(handle, native, "401", 16, "CREDENTIALS_AMBIGUOUS", "send exactly one authorization header")
  elseif headers:getNumValues("idempotency-key") > 1 then
    return refuse(handle, native, "400", 3, "MALFORMED_REQUEST", "send at most one idempotency-key header")
  elseif not native and not is_decodable(path) then
    return refuse(handle, native, "400", 3, "MALFORMED_PATH", "the path or its query is badly percent-encoded")
  elseif not native and not is_json(headers) then
    return refuse(handle, native, "400", 3, "UNSUPPORTED_CONTENT_TYPE",
      "a body is sent as content-type: application/json, without content-encoding")
  end

  if method == "HEAD" and HEAD_TOO[path:match("^[^?]*")] then
    headers:replace(":method", "GET")
  end
  keep(headers, INWARDS)
  -- The name of the scheme has no case (RFC 9110, section 11.1), but Envoy's verifier wants it so.
  local token = authorization:match("^[Bb][Ee][Aa][Rr][Ee][Rr] +(%S+) *$")
  if token ~= nil then
    headers:replace("authorization", "Bearer " .. token)
  end
  local timeout = headers:get("grpc-timeout")
  if timeout ~= nil and not (native and is_granted(timeout)) then
    headers:remove("grpc-timeout")
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local http = headers:get(":status")
  local code = headers:get("x-http-code")
  local field = headers:get("x-http-body-field")
  local is_health = headers:get("x-envoy-upstream-healthchecked-cluster") ~= nil
  local front = handle:streamInfo():dynamicMetadata():get("front") or {}
  if front["request_id"] ~= nil then
    headers:replace("x-request-id", front["request_id"])
  end
  keep(headers, OUTWARDS, front["native"] and OUTWARDS_GRPC or front["preflight"] and OUTWARDS_PREFLIGHT)
  if front["origin"] ~= nil then
    show(headers, front["origin"])
  end
  if front["page"] or not front["native"] then
    vary(handle, headers)
  end

  if front["preflight"] then
    headers:remove("content-type")
    return
  elseif front["native"] then
    headers:remove("www-authenticate")
    return describe_own(handle, front)
  elseif is_health then
    set_body(handle, http == "200" and '{"status":"SERVING"}' or '{"status":"NOT_SERVING"}', "application/json")
  elseif headers:get("content-type") == "text/x-refusal" and http ~= "400" then
    local answered, code, reason, message = unpack(TOKENS[body_of(handle)] or TOKEN_INVALID)
    set_body(handle, status(handle, code, reason, message), "application/json")
    handle:headers():replace(":status", answered)
    describe_error(handle, answered)
  elseif headers:get("content-type") == "text/x-refusal" then
    local settings = handle:streamInfo():dynamicMetadata():get("front.settings")
    set_body(handle, refusal(handle, body_of(handle), settings["bodies"]), "application/json")
  elseif http ~= "200" then
    describe_error(handle, http)
  elseif code == "204" or code == "304" then
    set_body(handle, "")
    headers = handle:headers()
    headers:replace(":status", code)
    headers:remove("content-length")
    headers:remove("content-type")
  else
    if field ~= nil then
      set_body(handle, array_of(body_of(handle), json_name(field)))
    end
    if code == "201" or code == "202" then
      handle:headers():replace(":status", code)
    end
  end
  if front["method"] == "HEAD" then
    drop_body(handle)
  end
  -- Nothing of a person stays in a cache (RFC 6749, section 5.1, for tokens), unless the service says otherwise.
  headers = handle:headers()
  if headers:get("cache-control") == nil then
    headers:replace("cache-control", "no-store")
  end
end
