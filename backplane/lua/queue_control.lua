-- SPDX-License-Identifier: MIT
-- Whether jobs are handed out and taken in. It holds until something else is said.
--
-- KEYS  as in queue.lua
-- ARGV  1 who says so, for P:jobs   2 queue   3 rules or ''   4 pause, drain or resume
-- Answers {ms until something is due or -1, jobs that became ready}
begin(KEYS, ARGV[1], 0)
open(KEYS, 4, ARGV[2], ARGV[3], true)
if ARGV[4] == 'resume' then
  if q.paused then q.before = 0 end -- whatever waits is news
  q.paused, q.draining = false, false
elseif ARGV[4] == 'pause' then
  q.paused = true
elseif ARGV[4] == 'drain' then
  q.draining = true
else
  return redis.error_reply('ERR unknown verb')
end
call('HSET', q.head, 'paused', q.paused and 1 or 0, 'draining', q.draining and 1 or 0)
local due, more = close()
return {due, more}
