-- One line of JSON for bench/loads.py after wrk's own report. With VARIED set, 20,000 different requests in turn:
-- 256 paths, each request with its own cookie, so that no server lives from having seen the same head before.
-- With ZIPF set to a seed, 10,000 objects, the n-th as often as n to the power of -0.9 says: the same ones in turn for every server.
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests": %d, "bytes": %d, "seconds": %f, "errors": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests, summary.bytes, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end

local size = tonumber(os.getenv("POST") or "0")
if size > 0 then
  wrk.method, wrk.body = "POST", string.rep("x", size)
end

if os.getenv("VARIED") then
  local all, n = {}, 0

  function init(args)
    math.randomseed(1)
    for i = 1, 20000 do
      local id = {}
      for j = 1, 32 do id[j] = string.format("%x", math.random(0, 15)) end
      wrk.headers["Cookie"] = "session=" .. table.concat(id) .. "; theme=dark"
      all[i] = wrk.format("GET", string.format("/varied/%03d.html", i % 256))
    end
  end

  function request()
    n = n % #all + 1
    return all[n]
  end
end

local seed = tonumber(os.getenv("ZIPF") or "0")
if seed > 0 then
  local threads, all, sums, total = 0, {}, {}, 0

  function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
  end

  function init(args)
    math.randomseed(seed * 100 + number)
    for i = 1, 10000 do
      total = total + i ^ -0.9
      sums[i] = total
      all[i] = wrk.format("GET", "/objects/" .. i)
    end
  end

  function request()
    local chance, low, high = math.random() * total, 1, #sums
    while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] < chance then low = middle + 1 else high = middle end
    end
    return all[low]
  end
end
