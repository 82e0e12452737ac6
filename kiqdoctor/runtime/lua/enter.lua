-- May a job of a limited class begin now? If so its place is taken in the same step.
-- KEYS: slots (sorted set `identity|jid` by start), rate (sorted set of starts within the period)
-- ARGV: identity|jid, how many at once (0: any), how many in a period (0: any), the period in microseconds,
--   prefix of leases, prefix of process records
-- Returns 0 where it may; else after how many milliseconds asking again is worthwhile. Time is Redis' own.
-- Cost: O(log n), and O(limit) where all slots are taken: those of processes that are gone are freed.
-- Slots have owners and no counter: a count would stay wrong for ever once a process died between its two ends.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local limit, count, period = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if limit > 0 and not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= limit then
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    local owner = string.match(member, '^(.*)|')
    if not owner or redis.call('EXISTS', ARGV[5] .. owner, ARGV[6] .. owner) == 0 then
      redis.call('ZREM', KEYS[1], member)
    end
  end
  if redis.call('ZCARD', KEYS[1]) >= limit then
    return 1000
  end
end
if count > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - period))
  if redis.call('ZCARD', KEYS[2]) >= count then
    local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
    return math.max(1, math.ceil((tonumber(oldest) + period - now) / 1000))
  end
  redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1] .. '|' .. time[1] .. time[2])
  redis.call('PEXPIRE', KEYS[2], math.ceil(period / 1000) + 1000)
end
if limit > 0 then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
end
return 0
