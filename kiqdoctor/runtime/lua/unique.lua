-- Push a job unless one with its lock is there.
-- KEYS: lock, set `queues`, target (a queue, or `schedule`), hash of its status
-- ARGV: jid, milliseconds that the lock lasts, bare queue name, payload, score where the target is a sorted set, else "";
--   then, where its status is kept: seconds that it is, its state, since when
-- Returns the jid that holds the lock now. Cost: O(log n). The target comes first: where it refuses, there is no lock.
local holder = redis.call('GET', KEYS[1])
if holder then
  return holder
end
if ARGV[5] == '' then
  redis.call('LPUSH', KEYS[3], ARGV[4])
  redis.call('SADD', KEYS[2], ARGV[3])
else
  redis.call('ZADD', KEYS[3], ARGV[5], ARGV[4])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if ARGV[6] then
  redis.call('HSET', KEYS[4], 'state', ARGV[7], 'at', ARGV[8])
  redis.call('HINCRBY', KEYS[4], 'version', 1)
  redis.call('EXPIRE', KEYS[4], ARGV[6])
end
return ARGV[1]
