-- A dead process leaves the index when nothing of it is left.
-- KEYS: lease, index, its private lists    ARGV: identity
-- Returns 1 where it left. Cost: O(lists).
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
for number = 3, #KEYS do
  if redis.call('LLEN', KEYS[number]) > 0 then
    return 0
  end
end
return redis.call('HDEL', KEYS[2], ARGV[1])
