-- Due jobs leave their sorted set for their queues, each once; what is no job leaves it for the dead.
-- KEYS: sorted set, set `queues`, then the queues, or the set of the dead, that they go to
-- ARGV: for each job: member, bare queue name ("" for the dead), payload to push, score among the dead, index of its key
-- Returns for each 1 where it left now, 0 where somebody else did it; the error, as text, where its place refuses it, and
--   then it stays. Cost: O(jobs * log n). The first write (ZREM) needs no memory, and is refused where any would be.
-- Taken away and put down in one step: Sidekiq's pop and push lose a job where the poller dies between them.
local told = {}
local function move(member, queue, payload, score, target)
  local due = redis.call('ZSCORE', KEYS[1], member)
  if not due or redis.call('ZREM', KEYS[1], member) == 0 then
    return 0
  end
  local stored
  if queue == '' then
    stored = redis.pcall('ZADD', target, score, payload)
  else
    stored = redis.pcall('LPUSH', target, payload)
  end
  if type(stored) == 'table' and stored.err then
    redis.call('ZADD', KEYS[1], due, member)
    return stored.err
  end
  if queue ~= '' and not told[queue] then
    told[queue] = redis.pcall('SADD', KEYS[2], queue) -- a set of another type keeps no job from its queue
  end
  return 1
end
local moved = {}
for at = 1, #ARGV, 5 do
  moved[#moved + 1] = move(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], KEYS[tonumber(ARGV[at + 4])])
end
return moved
