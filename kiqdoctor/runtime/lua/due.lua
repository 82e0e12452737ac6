-- A due job leaves its sorted set for its queue, once; what is no job leaves it for the dead.
-- KEYS: sorted set, set `queues`, queue or set of the dead
-- ARGV: member, bare queue name ("" for the dead), payload to push, score among the dead
-- Returns 1 where it left now, 0 where somebody else did it; the error where its place refuses it, and then it stays.
-- Cost: O(log n).
-- Taken away and put down in one step: Sidekiq's pop and push lose a job where the poller dies between them.
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
local stored
if ARGV[2] == '' then
  stored = redis.pcall('ZADD', KEYS[3], ARGV[4], ARGV[3])
else
  stored = redis.pcall('LPUSH', KEYS[3], ARGV[3])
end
if type(stored) == 'table' and stored.err then
  redis.call('ZADD', KEYS[1], score, ARGV[1])
  return stored
end
if ARGV[2] ~= '' then
  redis.call('SADD', KEYS[2], ARGV[2])
end
return 1
