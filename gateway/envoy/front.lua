-- What the JSON transcoder cannot do by itself: the success codes 201 and 204, lists as top-level arrays, and a list of
-- the metadata that may pass. Runs before the transcoder, so it sees requests as they came and answers as they leave.

-- What a request may bring to a service. Anything else (x-user-id, workload-identity-token, *-bin, …) stays outside.
local PASSED = {
  ["accept"] = true,
  ["accept-language"] = true,
  ["authorization"] = true,
  ["content-length"] = true,
  ["content-type"] = true,
  ["expect"] = true,
  ["grpc-accept-encoding"] = true,
  ["grpc-encoding"] = true,
  ["grpc-timeout"] = true,
  ["idempotency-key"] = true,
  ["last-event-id"] = true,
  ["te"] = true,
  ["traceparent"] = true,
  ["tracestate"] = true,
  ["transfer-encoding"] = true,
  ["user-agent"] = true,
  -- Envoy's own: it has already replaced what came from outside.
  ["x-forwarded-for"] = true,
  ["x-forwarded-proto"] = true,
}

-- What belongs to gRPC and has no meaning over REST.
local GRPC_ONLY = { "grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-accept-encoding", "grpc-encoding" }

-- The longest deadline for a service, in milliseconds: a little less than the route's, so that the service gives up first.
local LONGEST = 14500

-- The name that JSON gives to a field of a message.
local function json_name(field)
  return (field:gsub("_(%l)", string.upper))
end

local function is_grpc(content_type)
  return content_type ~= nil and content_type:find("^application/grpc") ~= nil
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

-- Whether `text`, once its percent signs are decoded, is UTF-8 without a NUL. A service could only answer INTERNAL.
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

-- Whether the body, if there is one, is JSON as it stands.
local function is_json(headers)
  local encoding = headers:get("content-encoding")
  local kind = headers:get("content-type")
  return (encoding == nil or encoding:lower() == "identity")
    and (kind == nil or kind == "" or kind:lower():find("^application/json%s*$") or kind:lower():find("^application/json%s*;"))
end

local MILLISECONDS = { H = 3600000, M = 60000, S = 1000, m = 1, u = 0.001, n = 0.000001 }

-- Whether a deadline is one that the front grants: well-formed, and no later than its own.
local function is_granted(timeout)
  local amount, unit = timeout:match("^(%d%d?%d?%d?%d?%d?%d?%d?)([HMSmun])$")
  return amount ~= nil and tonumber(amount) * MILLISECONDS[unit] <= LONGEST
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local native = is_grpc(headers:get("content-type"))
  handle:streamInfo():dynamicMetadata():set("front", "native", native)

  if not native then
    if not is_decodable(headers:get(":path")) then
      return handle:respond({ [":status"] = "400" }, "the path cannot be decoded")
    elseif not is_json(headers) then
      return handle:respond({ [":status"] = "415" }, "the body is not JSON")
    end
  end

  local refused = {}
  for name, _ in pairs(headers) do
    if name:byte(1) ~= 58 and not PASSED[name] then
      refused[#refused + 1] = name
    end
  end
  for _, name in ipairs(refused) do
    headers:remove(name)
  end
  local timeout = headers:get("grpc-timeout")
  if timeout ~= nil and not is_granted(timeout) then
    headers:remove("grpc-timeout")
  end
end

-- The transcoder's sentence quotes what was sent, which may be what a person wrote: only the name of the field stays.
local function refusal(sentence)
  local field, description = sentence:match('^Could not find field "([%w_]+)"'), "is not a known parameter"
  if field == nil then
    field = sentence:match("^([%w_%.%[%]]+): ") or sentence:match("Starting an object on a scalar field for type ([%w_]+)$")
    description = "has a value of the wrong type"
  end
  local info = '{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"%s","domain":"therapy","metadata":{}}'
  if field == nil then
    return '{"code":3,"message":"The request is malformed.","details":[' .. info:format("MALFORMED_REQUEST") .. "]}"
  end
  field = json_name(field)
  return ('{"code":3,"message":"%s %s","details":[%s,{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"%s","description":"%s","reason":""}]}]}'):format(
    field,
    description,
    info:format("INVALID_FIELDS"),
    field,
    description
  )
end

local function set_body(handle, text)
  local length = handle:body(true):setBytes(text)
  -- Reading the body has moved the headers: what was fetched before it is stale.
  handle:headers():replace("content-length", tostring(length))
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local code = headers:get("x-http-code")
  local field = headers:get("x-http-body-field")
  headers:remove("x-http-code")
  headers:remove("x-http-body-field")
  headers:remove("x-envoy-upstream-healthchecked-cluster")

  local front = handle:streamInfo():dynamicMetadata():get("front")
  if front == nil or front["native"] then
    return
  end
  for _, name in ipairs(GRPC_ONLY) do
    headers:remove(name)
  end

  local status = headers:get(":status")
  if status == "400" and headers:get("content-type") == "text/x-refusal" then
    headers:replace("content-type", "application/json")
    local body = handle:body(true)
    set_body(handle, refusal(body:getBytes(0, body:length())))
  elseif status == "200" and field ~= nil then
    local body = handle:body(true)
    set_body(handle, array_of(body:getBytes(0, body:length()), json_name(field)))
  elseif status == "200" and code == "204" then
    set_body(handle, "")
    headers = handle:headers()
    headers:replace(":status", "204")
    headers:remove("content-length")
    headers:remove("content-type")
  end
  if status == "200" and code == "201" then
    handle:headers():replace(":status", "201")
  end
end
