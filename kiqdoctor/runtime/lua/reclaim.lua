-- A process takes a lease: its first, or again where that ran out and others have not closed its account yet.
-- KEYS: lease, index    ARGV: identity, seconds of the lease (0: none), its account where that is to be written (else "")
-- Returns 1, or 0 where the account is closed and none was given: then nothing of it is its own any more. The first write
-- needs no memory; after it a server at maxmemory lets the rest pass. Cost: O(1).
if ARGV[3] == '' and redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then
  return 0
end
redis.call('PERSIST', KEYS[1]) -- the first write
if tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[1], '1', 'EX', ARGV[2])
end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
end
return 1
