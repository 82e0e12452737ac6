-- Acknowledge what ended, then move jobs from queues into this process's private lists.
-- KEYS: lease, then queue and private list in pairs, in the order of their priority
-- ARGV: how many jobs, how many bytes at most, number of acknowledgements, then pairs: index of the pair, payload
-- Returns {"FENCED"} without the lease; else {"OK", acknowledged, errors, {index, payload, ...}}.
-- Cost: O(jobs + acknowledgements * length of the private list). Nothing fails half-way: each queue is its own pcall.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'FENCED'}
end
local acknowledged = 0
local at = 4
for _ = 1, tonumber(ARGV[3]) do
  local private = KEYS[1 + 2 * tonumber(ARGV[at])]
  acknowledged = acknowledged + redis.call('LREM', private, -1, ARGV[at + 1])
  at = at + 2
end
local wanted, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local taken, errors = {}, {}
for pair = 1, (#KEYS - 1) / 2 do
  while wanted > 0 and room > 0 do
    local job = redis.pcall('LMOVE', KEYS[2 * pair], KEYS[2 * pair + 1], 'RIGHT', 'LEFT')
    if type(job) == 'table' and job.err then
      errors[#errors + 1] = KEYS[2 * pair] .. ': ' .. job.err
      break
    end
    if not job then
      break
    end
    taken[#taken + 1] = pair
    taken[#taken + 1] = job
    wanted = wanted - 1
    room = room - #job
  end
end
return {'OK', acknowledged, errors, taken}
