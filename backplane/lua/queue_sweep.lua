-- SPDX-License-Identifier: MIT
-- Does in one queue what has become due: leases, delays and ttls that are over.
--
-- KEYS  as in queue.lua
-- ARGV  1 who asks, for P:jobs   2 queue   3 random, below 2^32
-- Answers {ms until something is due or -1, jobs that became ready}
begin(KEYS, ARGV[1], ARGV[3])
if not open(KEYS, 4, ARGV[2], '', false) then
  call('ZREM', server.due, ARGV[2])
  return {-1, 0}
end
q.next = '' -- what P:queues.due says is put right in any case
sweep()
local due, more = close()
return {due, more}
