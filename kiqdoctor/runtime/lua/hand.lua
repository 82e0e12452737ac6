-- Jobs of a class that waited for room go to the ends of their queues that are taken next; included by leave.lua and free.lua.
-- The class's waiting list, how many at most, the prefix of queue keys. Only the queue is read from a payload: nothing is
-- written anew.
local function hand(waiting, count, prefix)
  local from = redis.call('LLEN', waiting) <= count and 'RIGHT' or 'LEFT' -- all of them keep their order
  for moved = 1, count do
    local raw = redis.call('LRANGE', waiting, from == 'LEFT' and 0 or -1, from == 'LEFT' and 0 or -1)[1]
    if not raw then
      return moved - 1
    end
    local read, job = pcall(cjson.decode, raw)
    local queue = read and type(job) == 'table' and type(job.queue) == 'string' and job.queue or 'default'
    redis.call('LMOVE', waiting, prefix .. queue, from, 'RIGHT')
  end
  return count
end
