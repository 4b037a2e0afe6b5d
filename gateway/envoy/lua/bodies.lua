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
