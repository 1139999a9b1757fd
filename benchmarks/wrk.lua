-- Requests of a list (`HOST PATH` lines, `@` = a number that never repeats), the figures as JSON.
-- usage: wrk -s wrk.lua URL -- [LIST|-] [BODY_BYTES] [close]
local requests, first, last, count, at, unique = {}, {}, {}, 0, 0, 0

function init(args)
   local list, body, close = args[1] or "-", tonumber(args[2] or "0"), args[3] == "close"
   local headers = {}
   for name, value in pairs(wrk.headers) do headers[name] = value end  -- of `-H`
   headers["Host"] = "bench.example"
   if close then headers["Connection"] = "close" end
   if body > 0 then
      wrk.method = "POST"
      wrk.body = string.rep("x", body)
   end
   if list == "-" then
      requests[1] = wrk.format(nil, nil, headers)
      count = 1
   else
      for line in io.lines(list) do
         local host, path = line:match("(%S+)%s+(%S+)")
         headers["Host"] = host
         count = count + 1
         local text = wrk.format(nil, path, headers)
         local mark = text:find("@", 1, true)
         if mark then
            first[count], last[count] = text:sub(1, mark - 1), text:sub(mark + 1)
         else
            requests[count] = text
         end
      end
   end
end

function request()
   at = at + 1
   if at > count then at = 1 end
   if requests[at] then return requests[at] end
   unique = unique + 1
   return first[at] .. unique .. last[at]
end

function done(summary, latency, _)
   local e = summary.errors
   io.write(string.format(
      '\nJSON {"requests":%d,"seconds":%.6f,"p50":%d,"p99":%d,"p999":%d,"max":%d,' ..
      '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
      latency:percentile(99.9), latency.max, e.connect, e.read, e.write, e.status, e.timeout))
end
