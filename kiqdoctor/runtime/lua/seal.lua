-- A batch has all its jobs: from now on its callbacks are due.
-- KEYS: hash of the batch, sets of its open and of its pending jids, set `queues`
-- ARGV: prefix of queue keys, then jids that never came into being
-- Cost: O(jids in ARGV).
-- include batch
for number = 2, #ARGV do
  redis.call('SREM', KEYS[2], ARGV[number])
  redis.call('SREM', KEYS[3], ARGV[number])
end
redis.call('HSET', KEYS[1], 'sealed', '1')
close(KEYS[1], '', 'done', KEYS[2], KEYS[3], KEYS[4], ARGV[1])
return 1
