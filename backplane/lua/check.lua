-- SPDX-License-Identifier: MIT
-- Where several rooms are. They are remembered while somebody asks.
--
-- KEYS  1 generation   2 … rooms
-- Answers a flat list: epoch, offset, number of each room.
local generation = generation_of(KEYS[1])
local out = {}
for i = 2, #KEYS do
  local r = room(KEYS[i], generation)
  redis.call('PEXPIRE', KEYS[i], QUIET, 'GT')
  out[#out + 1] = r.epoch
  out[#out + 1] = r.offset
  out[#out + 1] = r.seq
end
return out
