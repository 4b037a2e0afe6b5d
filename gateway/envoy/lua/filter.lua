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
