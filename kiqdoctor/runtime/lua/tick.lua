-- A periodic job's tick is pushed once, whoever sees it first.
-- KEYS: hash of last ticks, then lock, set `queues`, queue and hash of its status
-- ARGV: name, tick, "push" or "note", then what push.lua wants from the jid on
-- Returns 1 where it was pushed now. A name that was never seen is only noted: it has missed nothing. A tick whose job
-- must be unique, and another is there, is noted too. -1 where it is not that time yet: Redis' own clock decides, and a
-- last tick that lies ahead of it, which a wrong clock left there, holds up none. Cost: O(1).
-- include push
local now = tonumber(redis.call('TIME')[1])
local tick = tonumber(ARGV[2])
if tick > now + 2 then
  return -1
end
local last = redis.call('HGET', KEYS[1], ARGV[1])
if last and tonumber(last) >= tick and tonumber(last) <= now + 2 then
  return 0
end
local pushed = last and ARGV[3] == 'push' and push(KEYS[2], KEYS[3], KEYS[4], KEYS[5], unpack(ARGV, 4)) == ARGV[4]
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return pushed and 1 or 0
