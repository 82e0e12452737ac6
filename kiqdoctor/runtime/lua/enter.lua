-- May a job of a limited class begin now? If so its place among the running is taken, and its start told, in the same step.
-- KEYS: slots (sorted set of places, `identity|number`, by time), rate (sorted set of starts within the period), waiting list,
--   set of jids whose turn it is (see hand.lua); while jobs wait no other has room: those that come would take
--   it for ever. The room that one of these finds goes to those that wait
-- ARGV: how many at once (0: any, or it has a place), how many in a period (0: any, or it has a start), the period in
--   microseconds, prefix of leases, prefix of process records, the name of its place, how many starts are wanted (its own,
--   and those of jobs that come next), what their names begin with, how many more would be welcome where there is plenty,
--   its jid, prefix of queue keys
-- Returns 0 where it may, else after how many milliseconds asking again is worthwhile; how many starts it has, named by
--   numbers from 1 on; whether others wait for room. Time is Redis' own.
-- Cost: O(starts * log n); O(limit) where all slots are taken: those of processes that are gone are freed.
-- Slots have owners and no counter: a count would stay wrong for ever once a process died between its two ends.
-- include hand
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local limit, count, period = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local room, left, wait = 500, 0, 0
if limit > 0 then
  local taken = redis.call('ZCARD', KEYS[1])
  if taken >= limit then
    for _, other in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
      local owner = string.match(other, '^(.*)|')
      if not owner or redis.call('EXISTS', ARGV[4] .. owner, ARGV[5] .. owner) == 0 then
        taken = taken - redis.call('ZREM', KEYS[1], other)
      end
    end
  end
  room = math.min(room, limit - taken)
  wait = room > 0 and 0 or 1000
end
if count > 0 and wait == 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - period))
  left = count - redis.call('ZCARD', KEYS[2])
  if left <= 0 then
    local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
    wait = math.max(1, math.ceil((tonumber(oldest) + period - now) / 1000))
  end
  room = math.min(room, left)
end
local length = redis.pcall('LLEN', KEYS[3])
local waiting = type(length) == 'number' and length > 0 and 1 or 0 -- in a key of another type nobody waits
if waiting == 1 then
  local turn = redis.pcall('SREM', KEYS[4], ARGV[10]) == 1
  if turn and wait > 0 then
    redis.pcall('SADD', KEYS[4], ARGV[10]) -- it waits before the others
    redis.pcall('EXPIRE', KEYS[4], '60')
  elseif not turn and wait == 0 then
    local coming = redis.pcall('SCARD', KEYS[4])
    room = room - (type(coming) == 'number' and coming or 0)
    if room > 0 then
      hand(KEYS[3], room, ARGV[11], KEYS[4])
    end
    wait = 1
  end
end
if wait > 0 then
  return {wait, 0, 1}
end
local score, granted = string.format('%.0f', now), 0
if count > 0 then
  local wanted = tonumber(ARGV[7])
  granted = math.min(left, wanted + math.max(0, math.min(tonumber(ARGV[9]), math.floor((left - wanted) / 8))))
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
return {0, granted, waiting}
