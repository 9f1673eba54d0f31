-- Sends what was prepared and signed beforehand, line by line: "<signature>\t<body>". Past the end it asks for nothing
-- that could be mistaken for work: it counts, so that a round that ran dry is seen and thrown away.
local lines, at, dry = {}, 0, 0
local threads = {}

function setup(thread) table.insert(threads, thread) end

function init(args)
   for line in io.lines(args[1]) do
      local signature, body = line:match("^(.-)\t(.*)$")
      lines[#lines + 1] = wrk.format("POST", nil, {["Content-Type"] = "application/json", ["X-Byteport-Signature"] = signature}, body)
   end
end

function request()
   if at >= #lines then dry_count = (dry_count or 0) + 1; at = 0 end
   at = at + 1
   return lines[at]
end

function response(status) if status ~= 202 then refused_count = (refused_count or 0) + 1 end end

function done(summary, latency)
   local dry, refused = 0, 0
   for _, thread in ipairs(threads) do
      dry = dry + (thread:get("dry_count") or 0)
      refused = refused + (thread:get("refused_count") or 0)
   end
   io.write(string.format('\n{"requests": %d, "seconds": %.6f, "p50": %.6f, "p99": %.6f, "dry": %d, "refused": %d, "errors": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6, dry, refused,
      summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
