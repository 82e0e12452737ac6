-- A job that may begin once only begins: the bytes in its private list say so from now on.
-- KEYS: private list, lease    ARGV: payload, the same with the mark of its process
-- Returns 1 where they do, also by this very request made before; 0 where it is not there; -1 without the lease.
-- Cost: O(length of the private list).
if redis.call('EXISTS', KEYS[2]) == 0 then
  return -1
end
if redis.call('LREM', KEYS[1], -1, ARGV[1]) == 0 and redis.call('LREM', KEYS[1], -1, ARGV[2]) == 0 then
  return 0
end
redis.call('LPUSH', KEYS[1], ARGV[2])
return 1
