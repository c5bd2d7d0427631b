-- SPDX-License-Identifier: MIT
-- Which set of servers this one belongs to. The first gateway that comes decides; it is changed by
-- `madang servers` alone.
--
-- KEYS  1 servers
-- ARGV  1 the set as the gateway knows it: names in order, one space between
-- Answers the set that it belongs to.
local set = redis.call('GET', KEYS[1])
if set then return set end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
