-- May jobs of a limited class begin now? If so their places are taken in the same step.
-- KEYS: slots (sorted set `identity|jid` by start), rate (sorted set of starts within the period)
-- ARGV: how many at once (0: any), how many in a period (0: any), the period in microseconds, prefix of leases, prefix of
--   process records, then for each job: identity|jid, and, for one that comes only later, the private list and the payload
--   that must lie there ("" and "": begins now)
-- Returns for each 0 where it may; else after how many milliseconds asking again is worthwhile, and nothing for those after
--   it; -1 where it has left that list: its place would be nobody's to give up. Time is Redis' own.
-- Cost: O(log n) for each, and of those that come later O(length of the private list); O(limit) where all slots are taken:
--   those of processes that are gone are freed.
-- Slots have owners and no counter: a count would stay wrong for ever once a process died between its two ends.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local limit, count, period = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local function enter(member)
  if limit > 0 and not redis.call('ZSCORE', KEYS[1], member) and redis.call('ZCARD', KEYS[1]) >= limit then
    for _, other in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
      local owner = string.match(other, '^(.*)|')
      if not owner or redis.call('EXISTS', ARGV[4] .. owner, ARGV[5] .. owner) == 0 then
        redis.call('ZREM', KEYS[1], other)
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
    redis.call('ZADD', KEYS[2], string.format('%.0f', now), member .. '|' .. time[1] .. time[2])
    redis.call('PEXPIRE', KEYS[2], math.ceil(period / 1000) + 1000)
  end
  if limit > 0 then
    redis.call('ZADD', KEYS[1], string.format('%.0f', now), member)
  end
  return 0
end
local told = {}
for at = 6, #ARGV, 3 do
  if ARGV[at + 1] ~= '' and not redis.call('LPOS', ARGV[at + 1], ARGV[at + 2], 'RANK', -1) then
    told[#told + 1] = -1
  else
    local wait = enter(ARGV[at])
    told[#told + 1] = wait
    if wait > 0 then
      break
    end
  end
end
return told
