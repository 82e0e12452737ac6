-- Jobs of a class that waited for room go to the ends of their queues that are taken next; included by leave.lua and free.lua.
-- The class's waiting list, how many at most, the prefix of queue keys, the set of jids whose turn it is: those that were handed
-- on, for whom enter.lua keeps the room from jobs that came later. Only queue and jid are read from a payload: nothing is
-- written anew. They keep their order. One whose queue is no list goes behind all others, which it must not hold up.
local function hand(waiting, count, prefix, turns)
  local length, stuck = redis.call('LLEN', waiting), 0
  if count < length then
    for _ = 1, count do -- the oldest of all, the last of them outermost
      redis.call('LMOVE', waiting, waiting, 'LEFT', 'RIGHT')
    end
  else
    count = length
  end
  for _ = 1, count do
    local read, job = pcall(cjson.decode, redis.call('LRANGE', waiting, -1, -1)[1])
    local known = read and type(job) == 'table'
    local queue = known and type(job.queue) == 'string' and job.queue or 'default'
    if type(redis.pcall('LMOVE', waiting, prefix .. queue, 'RIGHT', 'RIGHT')) == 'table' then
      redis.call('LMOVE', waiting, waiting, 'RIGHT', 'LEFT')
      stuck = stuck + 1
    elseif known and type(job.jid) == 'string' and count < length then -- else nobody waits whom it must be told from
      redis.pcall('SADD', turns, job.jid)
    end
  end
  if count < length then
    redis.pcall('EXPIRE', turns, '60') -- what was deleted meanwhile, or is taken by nobody, leaves nothing behind
  end
  for _ = 1, stuck do
    redis.call('LMOVE', waiting, waiting, 'LEFT', 'RIGHT')
  end
  return count - stuck
end
