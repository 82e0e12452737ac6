-- As many jobs of a limited class as there is room for now leave its waiting list for their queues.
-- KEYS: slots, rate, waiting list, hash of classes that wait, set of jids whose turn it is
-- ARGV: class, how many at once (0: any), how many in a period (0: any), the period in microseconds, prefix of queue keys,
--   prefix of leases, prefix of process records
-- Returns how many. Time is Redis' own. Cost: O(jobs), and O(limit) where all slots are taken: those of processes that are
-- gone are freed.
-- include hand
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local limit, count, period, room = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), 500
if limit > 0 then
  if redis.call('ZCARD', KEYS[1]) >= limit then
    for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
      local owner = string.match(member, '^(.*)|')
      if not owner or redis.call('EXISTS', ARGV[6] .. owner, ARGV[7] .. owner) == 0 then
        redis.call('ZREM', KEYS[1], member)
      end
    end
  end
  room = math.min(room, limit - redis.call('ZCARD', KEYS[1]))
end
if count > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - period))
  room = math.min(room, count - redis.call('ZCARD', KEYS[2]))
end
local moved = room > 0 and hand(KEYS[3], room, ARGV[5], KEYS[5]) or 0
if redis.call('LLEN', KEYS[3]) == 0 then
  redis.call('HDEL', KEYS[4], ARGV[1])
end
return moved
