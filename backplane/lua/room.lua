-- SPDX-License-Identifier: MIT
-- What the scripts of a room have in common: its state, a hash.
--
--   e  epoch                         s  offset of the newest stored publication
--   g  generation, see below         q  number of the newest publication, stored or not
--   b  bytes of the stream           v, w  newest version that was stated, and its epoch
--   u  offset of the newest publication that nobody has to read
--   f  '1' if somebody follows the room, '0' if not; absent: not known
--
-- The generation is the server's: another number once it may have lost writes. A room that was
-- last written under another one gets a new epoch, so that what was lost cannot hide behind equal
-- offsets. What the stream still holds stays and keeps its offsets.

-- A room that nothing is stored in is remembered so long (ms) after it was last used or looked at.
local QUIET = '600000'
-- Who is in a room, so long after that was last looked after, which its gateway does all the time.
local STAY = '3600000'

local function room(key, generation)
  local m = redis.call('HMGET', key, 'e', 's', 'q', 'g', 'b', 'v', 'w', 'u', 'f')
  local r = {
    epoch = m[1], offset = tonumber(m[2]) or 0, seq = tonumber(m[3]) or 0,
    bytes = tonumber(m[5]) or 0, version = m[6], version_epoch = m[7] or '',
    quiet = tonumber(m[8]) or 0, followed = m[9], new = not m[1],
  }
  if r.new or m[4] ~= generation then
    local now = redis.call('TIME')
    local hash = redis.sha1hex(key .. now[1] .. '.' .. now[2])
    r.epoch = string.gsub(string.sub(hash, 1, 16), '..', function(pair) -- eight letters
      return string.char(97 + tonumber(pair, 16) % 26)
    end)
    r.version, r.version_epoch = false, ''
    redis.call('HSET', key, 'e', r.epoch, 'g', generation)
    redis.call('HDEL', key, 'v', 'w')
    if r.new then redis.call('PEXPIRE', key, QUIET) end
  end
  return r
end

local function generation_of(key)
  return redis.call('HGET', key, 'n') or '0'
end

local function text(n)
  return string.format('%.0f', n)
end

-- The members of a room that a gateway has there stay; share.lua tells of the keys.
local function stay(prefix, gateway, name)
  if redis.call('PEXPIRE', prefix .. ':members:' .. gateway .. ':' .. name, STAY) == 1 then
    redis.call('PEXPIRE', prefix .. ':in:' .. name, STAY)
    redis.call('PEXPIRE', prefix .. ':users:' .. name, STAY)
  end
end
