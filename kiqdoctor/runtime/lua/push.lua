-- Push one job, unless one with its lock is there; included by unique.lua and tick.lua.
-- The names of its lock, the set `queues`, the target (a queue, or `schedule`) and the hash of its status; then its jid,
-- the milliseconds that the lock lasts ("0": none), the bare queue name, the payload, the score where the target is a
-- sorted set, else ""; then, where its status is kept: for how many seconds, and what is told (see tell.lua).
-- Returns the jid that holds the lock now. Cost: O(log n). The target comes first: where it refuses, there is no lock.
-- include tell
local function push(lock, queues, target, told, jid, lasts, queue, payload, score, keep, ...)
  local holder = lasts ~= '0' and redis.call('GET', lock)
  if holder then
    return holder
  end
  if score == '' then
    redis.call('LPUSH', target, payload)
    redis.pcall('SADD', queues, queue) -- a set of another type keeps no job from its queue
  else
    redis.call('ZADD', target, score, payload)
  end
  if lasts ~= '0' then
    redis.call('SET', lock, jid, 'PX', lasts)
  end
  if keep then
    tell(told, keep, 'known', ...)
  end
  return jid
end
