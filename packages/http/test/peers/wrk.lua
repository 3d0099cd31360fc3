-- Counts the answers by status, and those that lack a header they must have; says so in one line of JSON.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  ok, limited, refused, other, unannounced, uncounted = 0, 0, 0, 0, 0, 0
end

local function has(headers, wanted)
  for name in pairs(headers) do
    if string.lower(name) == wanted then
      return true
    end
  end
  return false
end

function response(status, headers)
  if status == 200 then
    ok = ok + 1
  elseif status == 429 then
    limited = limited + 1
  elseif status == 503 then
    refused = refused + 1
  else
    other = other + 1
  end
  if (status == 429 or status == 503) and not has(headers, "retry-after") then
    unannounced = unannounced + 1
  end
  if not has(headers, "x-ratelimit-remaining") then
    uncounted = uncounted + 1
  end
end

function done(summary)
  local sums = {}
  for _, name in ipairs({ "ok", "limited", "refused", "other", "unannounced", "uncounted" }) do
    local sum = 0
    for _, thread in ipairs(threads) do
      sum = sum + thread:get(name)
    end
    table.insert(sums, string.format('"%s":%d', name, sum))
  end
  local errors = summary.errors
  table.insert(sums, string.format('"broken":%d', errors.connect + errors.read + errors.write + errors.timeout))
  print("counts {" .. table.concat(sums, ",") .. "}")
end
