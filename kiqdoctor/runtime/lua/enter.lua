-- May a job of a limited class begin now? If so its place among the running is taken, and its start told, in the same step.
-- KEYS: slots (sorted set of places, `identity|number`, by time), rate (sorted set of starts within the period), waiting list
-- ARGV: how many at once (0: any, or it has a place), how many in a period (0: any, or it has a start), the period in
--   microseconds, prefix of leases, prefix of process records, the name of its place, how many starts are wanted (its own,
--   and those of jobs that come next), what their names begin with, how many more would be welcome where there is plenty
-- Returns 0 where it may, else after how many milliseconds asking again is worthwhile; how many starts it has, named by
--   numbers from 1 on; whether others wait for room. Time is Redis' own.
-- Cost: O(starts * log n); O(limit) where all slots are taken: those of processes that are gone are freed.
-- Slots have owners and no counter: a count would stay wrong for ever once a process died between its two ends.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local limit, count, period = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if limit > 0 and redis.call('ZCARD', KEYS[1]) >= limit then
  for _, other in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    local owner = string.match(other, '^(.*)|')
    if not owner or redis.call('EXISTS', ARGV[4] .. owner, ARGV[5] .. owner) == 0 then
      redis.call('ZREM', KEYS[1], other)
    end
  end
  if redis.call('ZCARD', KEYS[1]) >= limit then
    return {1000, 0, 1}
  end
end
local score, granted = string.format('%.0f', now), 0
if count > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - period))
  local room = count - redis.call('ZCARD', KEYS[2])
  if room <= 0 then
    local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
    return {math.max(1, math.ceil((tonumber(oldest) + period - now) / 1000)), 0, 1}
  end
  local wanted = tonumber(ARGV[7])
  granted = math.min(room, wanted + math.max(0, math.min(tonumber(ARGV[9]), math.floor((room - wanted) / 8))))
  local starts = {}
  for number = 1, granted do
    starts[2 * number - 1] = score
    starts[2 * number] = ARGV[8] .. number
  end
  redis.call('ZADD', KEYS[2], unpack(starts))
  redis.call('PEXPIRE', KEYS[2], math.ceil(period / 1000) + 1000)
end
if limit > 0 then
  redis.call('ZADD', KEYS[1], score, ARGV[6])
end
return {0, granted, redis.call('EXISTS', KEYS[3])}
