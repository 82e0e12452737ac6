-- Sets a queue aside under a key of its own, which expires.
-- KEYS: the queue, the set of queue names, the key to set it aside under. ARGV: its bare name, seconds.
-- Answers the number of jobs. Nothing changes where a key is of another kind. Cost: O(1).
local function wrong(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. kind)
  end
end
local refused = wrong(KEYS[1], 'list') or wrong(KEYS[2], 'set')
if refused then return refused end

-- A permission that is missing shows before the queue is renamed: it would lie aside for ever, or stay registered.
redis.call('EXPIRE', KEYS[3], ARGV[2])
redis.call('SREM', KEYS[2], 'kiqdoctor: nothing')

local length = redis.call('LLEN', KEYS[1])
if length > 0 then
  redis.call('RENAME', KEYS[1], KEYS[3])
  redis.call('EXPIRE', KEYS[3], ARGV[2])
end
redis.call('SREM', KEYS[2], ARGV[1])
return length
