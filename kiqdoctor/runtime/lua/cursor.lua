-- Where an iterable job is, told by who runs it.
-- KEYS: its hash, the private list that holds it (its hash again where none does)
-- ARGV: its payload ("" where no list holds it), then for how many seconds it is kept, then names and values
-- Returns 1 where somebody cancelled it, 0 where not; -1 where another process has it by now: its place is not ours.
-- Cost: O(length of the private list).
if ARGV[1] ~= '' and not redis.call('LPOS', KEYS[2], ARGV[1]) then
  return -1
end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('HEXISTS', KEYS[1], 'cancelled')
