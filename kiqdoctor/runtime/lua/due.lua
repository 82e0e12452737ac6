-- A due job leaves its sorted set for its queue, once.
-- KEYS: sorted set, set `queues`, queue    ARGV: member, bare queue name, payload to push
-- Returns 1 where it was pushed now, 0 where somebody else did. Cost: O(log n).
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('LPUSH', KEYS[3], ARGV[3])
return 1
