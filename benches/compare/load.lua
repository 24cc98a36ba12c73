-- Decisions on a stored profile, each with another budget, so that none is the one before. DELAY (milliseconds) is the
-- mean pause of a connection between requests; 0 asks as fast as the answers come.
local profile = os.getenv("PROFILE")
local pause = tonumber(os.getenv("DELAY") or "0")
local n = 0
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  math.randomseed(os.time() + tonumber(tostring({}):sub(8)))
  ok, refused, other = 0, 0, 0
end

function request()
  n = n + 1
  local hours = 1 + (n % 997) / 10 + math.random()
  local body = string.format('{"profile_name":"%s","resources":{"budget":%.3f}}', profile, hours * 3600)
  return wrk.format("POST", "/api/v1/decisions", { ["Content-Type"] = "application/json" }, body)
end

if pause > 0 then
  function delay()
    return math.random(0, 2 * pause)
  end
end

function response(status)
  if status == 200 then ok = ok + 1 elseif status == 429 then refused = refused + 1 else other = other + 1 end
end

function done(summary, latency)
  local a, b, c = 0, 0, 0
  for _, thread in ipairs(threads) do
    a, b, c = a + thread:get("ok"), b + thread:get("refused"), c + thread:get("other")
  end
  local s = summary.duration / 1e6
  io.write(string.format("decided %d (%.0f/s), refused with 429 %d, anything else %d, socket errors %d\n", a, a / s, b, c,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
  io.write(string.format("latency ms: p50 %.2f, p99 %.2f, max %.2f\n", latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3))
end
