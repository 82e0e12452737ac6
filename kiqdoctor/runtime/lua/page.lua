-- What is due in a sorted set, by Redis' own clock: hosts need not agree on the time.
-- KEYS: sorted set    ARGV: how many at most, after how many
-- Returns the time in seconds, as text, and the members. Cost: O(log n + members + those left out).
local time = redis.call('TIME')
local now = time[1] .. '.' .. string.format('%06d', tonumber(time[2]))
return {now, redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', ARGV[2], ARGV[1])}
