-- SPDX-License-Identifier: MIT
-- Where several rooms are. They are remembered while somebody asks, and so are the members that the
-- gateway has there.
--
-- KEYS  1 generation   2 … rooms
-- ARGV  1 prefix of all keys   2 the gateway that asks
-- Answers a flat list: epoch, offset, number of each room.
local generation = generation_of(KEYS[1])
local out = {}
for i = 2, #KEYS do
  local r = room(KEYS[i], generation)
  redis.call('PEXPIRE', KEYS[i], QUIET, 'GT')
  stay(ARGV[1], ARGV[2], string.sub(KEYS[i], #ARGV[1] + #':room:' + 1))
  out[#out + 1] = r.epoch
  out[#out + 1] = r.offset
  out[#out + 1] = r.seq
end
return out
