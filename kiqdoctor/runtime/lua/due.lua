-- A due job leaves its sorted set for its queue, once.
-- KEYS: sorted set, set `queues`, queue    ARGV: member, bare queue name, payload to push
-- Returns 1 where it was pushed now, 0 where somebody else did; the error where the queue is no list. Cost: O(log n).
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
local pushed = redis.pcall('LPUSH', KEYS[3], ARGV[3])
if type(pushed) == 'table' and pushed.err then
  redis.call('ZADD', KEYS[1], score, ARGV[1])
  return pushed
end
redis.call('SADD', KEYS[2], ARGV[2])
return 1
