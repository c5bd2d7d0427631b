-- SPDX-License-Identifier: MIT
-- Puts a tombstone in the place of one publication. A stream's entries cannot be changed, so the
-- stream is written anew: as many steps as it has entries.
--
-- KEYS  1 room   2 stream   3 generation
-- ARGV  1 offset   2 epoch, or ''   3 what stands there from now on
-- Answers {what, epoch}: what is 0 done (or not kept any more), 1 another epoch, 2 there never was
-- such an offset.
local r = room(KEYS[1], generation_of(KEYS[3]))
local offset = tonumber(ARGV[1])
if ARGV[2] ~= '' and ARGV[2] ~= r.epoch then return {1, r.epoch} end
if offset < 1 or offset > r.offset then return {2, r.epoch} end

local id = ARGV[1] .. '-0'
local found = redis.call('XRANGE', KEYS[2], id, id)[1]
if found then
  local left = redis.call('PTTL', KEYS[2])
  local entries = redis.call('XRANGE', KEYS[2], '-', '+')
  redis.call('DEL', KEYS[2])
  for _, entry in ipairs(entries) do
    if entry[1] == id then
      entry[2][2] = ARGV[3]
      entry[2][4] = string.find(entry[2][4], 'q', 1, true) and 'q' or '-'
    end
    redis.call('XADD', KEYS[2], entry[1], unpack(entry[2]))
  end
  if left > 0 then redis.call('PEXPIRE', KEYS[2], left) end
  redis.call('HSET', KEYS[1], 'b', text(r.bytes - #found[2][2] + #ARGV[3]))
end
return {0, r.epoch}
