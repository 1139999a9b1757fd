local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local free = now
local old = redis.call('GET', KEYS[1])
if old then
  free = tonumber(old)
  if not free or free ~= free then
    return redis.error_reply('WRONGTYPE the key holds no time')
  end
end
local after = math.min(math.max(free, now), now + ARGV[2]) + ARGV[1]
local ttl = math.ceil((after - now) / 1000) + 1
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', string.format('%.0f', ttl))
return after - now
