-- A process leaves the index when nothing of it is left.
-- KEYS: lease, index, its private lists, then its numbers
-- ARGV: identity, how many private lists; where the process itself says so, its account as one that was left, else ""
-- Returns 1 where it left. Cost: O(lists).
if ARGV[3] == '' and redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local lists = tonumber(ARGV[2])
redis.call('DEL', KEYS[1]) -- though something may be left: survivors may have that at once
for number = 3, 2 + lists do
  if redis.call('EXISTS', KEYS[number]) == 1 then
    if ARGV[3] ~= '' then -- though its process may live on, as the program that it was embedded in
      redis.pcall('HSET', KEYS[2], ARGV[1], ARGV[3])
    end
    return 0
  end
end
for number = 3 + lists, #KEYS do
  redis.call('DEL', KEYS[number])
end
redis.call('HDEL', KEYS[2], ARGV[1])
return 1
