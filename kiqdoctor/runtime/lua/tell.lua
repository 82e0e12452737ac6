-- Tell a job's status; included by leave.lua and push.lua. The hash and its fields are those of wire/status.py.
-- The hash; for how many seconds it is kept; "" where it is told only if it is there already: who recovers a job need not
-- know whether its class keeps one; then names and values.
local function tell(key, keep, known, ...)
  if known == '' and redis.call('EXISTS', key) == 0 then
    return
  end
  redis.call('HSET', key, ...)
  redis.call('HINCRBY', key, 'version', '1')
  redis.call('EXPIRE', key, keep)
end
