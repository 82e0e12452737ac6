-- A periodic job's tick is pushed once, whoever sees it first.
-- KEYS: hash of last ticks, set `queues`, queue    ARGV: name, tick, bare queue name, payload, "push" or "note"
-- Returns 1 where it was pushed now. A name that was never seen is only noted: it has missed nothing. Cost: O(1).
local last = redis.call('HGET', KEYS[1], ARGV[1])
if last and tonumber(last) >= tonumber(ARGV[2]) then
  return 0
end
if not last or ARGV[5] ~= 'push' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  return 0
end
redis.call('LPUSH', KEYS[3], ARGV[4])
redis.call('SADD', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
