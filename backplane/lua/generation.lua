-- SPDX-License-Identifier: MIT
-- The server's generation, with which every gateway begins a connection: another number if the
-- server may have lost writes since the last one began.
--
-- KEYS  1 generation
-- ARGV  1 run_id   2 master_replid   3 master_replid2, of INFO   4 '1': a restart loses nothing
--
-- Another run has lost what had not been written to disk, unless the operator says that nothing is
-- answered before it is (appendfsync always). A second replication id tells of a promotion, which
-- loses what had not been copied. The id alone changes without a loss too.
local m = redis.call('HMGET', KEYS[1], 'n', 'run', 'replid')
local same_run = ARGV[1] ~= '' and m[2] == ARGV[1]
if m[1] and same_run and m[3] == ARGV[2] then return m[1] end
local promoted = string.find(ARGV[3], '[^0]') ~= nil
local n = m[1]
if not n or promoted or not (same_run or ARGV[1] ~= '' and ARGV[4] == '1') then
  local now = redis.call('TIME')
  local ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
  n = text(math.max((tonumber(n) or 0) + 1, ms))
end
redis.call('HSET', KEYS[1], 'n', n, 'run', ARGV[1], 'replid', ARGV[2])
return n
