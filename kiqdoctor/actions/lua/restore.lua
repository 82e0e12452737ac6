-- Puts what was set aside back: at once where the queue is empty, else a part of it, before all that came since.
-- KEYS: the key it was set aside under, the queue, the set of queue names. ARGV: its bare name, the largest part,
--       seconds that the rest is kept. Answers how many jobs were put back, and how many are left. Cost: O(part).
local function wrong(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. kind)
  end
end
local refused = wrong(KEYS[1], 'list') or wrong(KEYS[2], 'list') or wrong(KEYS[3], 'set')
if refused then return refused end

local length = redis.call('LLEN', KEYS[1])
if length == 0 then return {0, 0} end
redis.call('SADD', KEYS[3], ARGV[1])
if redis.call('LLEN', KEYS[2]) == 0 then
  redis.call('PERSIST', KEYS[1]) -- before it is a queue again: a queue that expires would lose jobs
  redis.call('RENAME', KEYS[1], KEYS[2])
  return {length, 0}
end
redis.call('EXPIRE', KEYS[1], ARGV[3]) -- the hour may end between two parts
local part = math.min(length, tonumber(ARGV[2]))
for _ = 1, part do
  redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT')
end
return {part, length - part}
