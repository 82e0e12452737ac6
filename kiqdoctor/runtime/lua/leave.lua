-- A job leaves its private list for somewhere else, once: what is no longer in the list has already left.
-- KEYS: private list, then the target (a sorted set, or a queue), then the set `queues` where the target is a queue
-- ARGV: payload in the list, payload to store, "zset" or "list", score, dead set's age limit and size limit ("" for none)
-- Returns 1 where it left now, 0 where it had left before. Cost: O(length of the private list + log n).
if redis.call('LREM', KEYS[1], -1, ARGV[1]) == 0 then
  return 0
end
if ARGV[3] == 'zset' then
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[2])
  if ARGV[5] ~= '' then
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -tonumber(ARGV[6]))
  end
elseif ARGV[3] == 'list' then
  redis.call('RPUSH', KEYS[2], ARGV[2])
end
return 1
