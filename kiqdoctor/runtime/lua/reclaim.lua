-- A process whose lease ran out takes it again, unless others have already closed its account.
-- KEYS: lease, index    ARGV: identity, seconds
-- Returns 1 where it has its lease again: what still lies in its private lists is still its own. Cost: O(1).
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then
  return 0
end
redis.call('SET', KEYS[1], '1', 'EX', ARGV[2])
return 1
