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
  ["grpc-timeout"] = true,
  ["grpc-encoding"] = true,
  ["grpc-accept-encoding"] = true,
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
  ["x-next-page-token"] = true,
  ["retry-after"] = true,
  ["www-authenticate"] = true,
  ["content-type"] = true,
  ["content-length"] = true,
  ["transfer-encoding"] = true,
  ["connection"] = true,
  ["date"] = true,
}
local OUTWARDS_GRPC = {
  ["grpc-status"] = true,
  ["grpc-message"] = true,
  ["grpc-status-details-bin"] = true,
  ["grpc-encoding"] = true,
  ["grpc-accept-encoding"] = true,
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
