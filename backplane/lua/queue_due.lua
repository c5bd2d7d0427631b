-- SPDX-License-Identifier: MIT
-- In which queues something has become due.
--
-- KEYS  1 P:jobs   2 P:queues   3 P:queues.due
-- ARGV  1 number of this server among those of its set, which is part of the ids; '': as it is
--       2 most queues
-- Answers {ms until something is due or -1, queues}
begin(KEYS, '', 0)
if ARGV[1] ~= '' and ARGV[1] ~= text(server.number) then
  call('HSET', server.key, 'number', ARGV[1])
end
local out = call('ZRANGEBYSCORE', server.due, '-inf', text(now), 'LIMIT', 0, ARGV[2])
local soon = first(server.due)
if #out > 0 then soon = now end
table.insert(out, 1, soon == math.huge and -1 or math.max(soon - now, 0))
return out
