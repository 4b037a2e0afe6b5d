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
