-- CORS, as the embedded front has it.

-- The origin of the page that asks, if it is one of those that may (the Fetch standard, "CORS protocol").
local function origin_of(handle, headers)
  local origin = headers:get("origin")
  if origin == nil then
    return nil
  end
  local settings = handle:streamInfo():dynamicMetadata():get("front.settings")
  for allowed in settings["origins"]:gmatch("%S+") do
    if allowed == "*" or allowed == origin then
      return origin
    end
  end
  return nil
end

-- Lets a page of this origin read an answer.
local function show(headers, origin)
  headers:replace("access-control-allow-origin", origin)
  headers:replace(
    "access-control-expose-headers",
    "etag, x-next-page-token, retry-after, grpc-status, grpc-message, grpc-status-details-bin"
  )
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
  ["access-control-allow-headers"] = "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, grpc-timeout, x-grpc-web, x-user-agent",
  ["access-control-max-age"] = "600",
}
local OUTWARDS_PREFLIGHT = {
  ["access-control-allow-methods"] = true,
  ["access-control-allow-headers"] = true,
  ["access-control-max-age"] = true,
}
