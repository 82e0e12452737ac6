-- What an account says of its process changes, where it is still open.
-- KEYS: index    ARGV: identity, its account
-- Returns 1 where it is. Cost: O(1).
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
