-- SPDX-License-Identifier: MIT
-- Takes all publications out of a room's stream. Epoch and offset stay, and so do lasting keys.
--
-- KEYS  1 room   2 stream   3 keys
redis.call('DEL', KEYS[2], KEYS[3])
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'b', '0') end
return 0
