-- SPDX-License-Identifier: MIT
-- Puts one publication into a room: everything or nothing, in one step.
--
-- KEYS  1 room   2 stream   3 keys   4 generation   5 markers of followers
--       6 lasting key, if there is one
-- ARGV  1 channel to publish on
--       2 data, JSON   3 info, JSON or ''   4 tags, the inside of a JSON object of strings, or ''
--       5 flags: t stamps the time, d lets it be sent as a difference, q: nobody has to read it;
--       '-' for none
--       6 publications kept, 0: not stored   7 bytes kept   8 ms kept, 0: as long as the room
--       9 ms that a room is remembered
--       10 key or ''   11 hash of the data   12 ms that a lasting key is remembered
--       13 version, '0' for none   14 its epoch or ''   15 the user who publishes, or ''
--       16 '' or a hash, in which 17 a field gets the data, or is deleted if 18 is '1'
--       19 '' or a key that lives 20 ms, and while it is there nothing is published
--       21 the prefix of all keys, and then arguments of queue_put.lua, with one job, which is put
--       if the publication is stored, is not quiet, and somebody follows the room; whatever bounds
--       the queue has. Its keys would be most of the words, and are seldom used: they are made here
-- Answers {what, offset, epoch, number, marked}: what is 0 published, 1 repeated (nothing was
-- published), 2 the key was used for other data, 3 not yet: `offset` ms are to be waited. marked is
-- 1 if the user follows the room and has read this with all that was before it.
-- What is behind 15 may be left out. If a job was put, or was there: {…, marked, ms until something
-- is due in the queue or -1, jobs that became ready}.
local r = room(KEYS[1], generation_of(KEYS[4]))
local flags, key, count = ARGV[5], ARGV[10], tonumber(ARGV[6])
local quiet = string.find(flags, 'q', 1, true)
local lasting = ARGV[12] ~= '0' and KEYS[6]

local function newer(a, b) -- decimal numbers of any size
  if #a ~= #b then return #a > #b end
  return a > b
end

if lasting then
  local at = redis.call('GET', lasting)
  if at then
    local offset, epoch = string.match(at, '^(%d+) (.*)$')
    return {1, tonumber(offset), epoch, r.seq}
  end
end
if count > 0 and key ~= '' then
  local offset, hash = string.match(redis.call('HGET', KEYS[3], key) or '', '^(%d+) (.*)$')
  local first = offset and redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  if first and tonumber(string.match(first[1], '^%d+')) <= tonumber(offset) then
    if hash ~= ARGV[11] then return {2, 0, '', r.seq} end
    return {1, tonumber(offset), r.epoch, r.seq}
  end
end
local version = count > 0 and ARGV[13] ~= '0' and ARGV[13]
if version and r.version and (ARGV[14] == '' or ARGV[14] == r.version_epoch) and
    not newer(version, r.version) then
  return {1, r.offset, r.epoch, r.seq}
end

local paced = ARGV[19] and ARGV[19] ~= ''
if paced and redis.call('EXISTS', ARGV[19]) == 1 then
  return {3, math.max(redis.call('PTTL', ARGV[19]), 1), '', r.seq}
end

local function followed()
  if KEYS[5] and not r.followed then
    r.followed = redis.call('EXISTS', KEYS[5]) == 1 and '1' or '0'
    redis.call('HSET', KEYS[1], 'f', r.followed)
  end
  return KEYS[5] and r.followed == '1'
end

local function queue_keys(prefix, queue)
  local keys = {prefix .. ':jobs', prefix .. ':queues', prefix .. ':queues.due',
    prefix .. ':queue:' .. queue}
  local kinds = 'job data ready lease delayed expire group blocked key ends result dead buried'
  for kind in string.gmatch(kinds, '%a+') do
    keys[#keys + 1] = prefix .. ':queue.' .. kind .. ':' .. queue
  end
  return keys
end

-- The job first: if that cannot be put, nothing else is done.
local caused
if ARGV[21] and count > 0 and not quiet and followed() then
  caused = cause(queue_keys(ARGV[21], ARGV[23]), {unpack(ARGV, 22)})
  if caused[3] ~= 'ok' and caused[3] ~= 'repeated' then
    return redis.error_reply('ERR no job: ' .. caused[3])
  end
end

if paced then redis.call('SET', ARGV[19], '1', 'PX', ARGV[20]) end
if ARGV[16] and ARGV[16] ~= '' then
  if ARGV[18] == '1' then
    redis.call('HDEL', ARGV[16], ARGV[17])
  else
    redis.call('HSET', ARGV[16], ARGV[17], ARGV[2])
  end
end

local tags = ARGV[4]
if string.find(flags, 't', 1, true) then
  local now = redis.call('TIME')
  local ms = now[1] .. string.format('%03d', math.floor(tonumber(now[2]) / 1000))
  tags = tags .. (tags ~= '' and ',' or '') .. '"t":"' .. ms .. '"'
end
local pub = '{"data":' .. ARGV[2] .. (ARGV[3] ~= '' and ',"info":' .. ARGV[3] or '') ..
  (tags ~= '' and ',"tags":{' .. tags .. '}' or '') .. '}'
local delta = string.find(flags, 'd', 1, true) and 'd' or '-'
local kept_flags = quiet and (delta == 'd' and 'dq' or 'q') or delta

local function trim()
  local n = redis.call('XLEN', KEYS[2])
  r.bytes = n == 1 and #pub or r.bytes + #pub -- the stream may have ended meanwhile
  while n > 1 and (n > count or r.bytes > tonumber(ARGV[7])) do
    local most = n > count and math.min(n - count, 100) or 1
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', most)) do
      local fields = entry[2]
      r.bytes = r.bytes - #fields[2]
      if fields[5] == 'k' then redis.call('HDEL', KEYS[3], fields[6]) end
      n = n - 1
    end
    redis.call('XTRIM', KEYS[2], 'MAXLEN', n)
  end
end

local function store()
  if r.new or r.offset == 0 then redis.call('DEL', KEYS[2], KEYS[3]) end
  r.offset = r.offset + 1
  local id = text(r.offset) .. '-0'
  if key ~= '' then
    redis.call('XADD', KEYS[2], id, 'p', pub, 'f', kept_flags, 'k', key)
    redis.call('HSET', KEYS[3], key, text(r.offset) .. ' ' .. ARGV[11])
  else
    redis.call('XADD', KEYS[2], id, 'p', pub, 'f', kept_flags)
  end
  trim()
  redis.call('HSET', KEYS[1], 's', text(r.offset), 'q', text(r.seq), 'b', text(r.bytes))
  if quiet then redis.call('HSET', KEYS[1], 'u', text(r.offset)) end
  if version then redis.call('HSET', KEYS[1], 'v', version) end
  if version and ARGV[14] ~= '' then redis.call('HSET', KEYS[1], 'w', ARGV[14]) end
  local life = ARGV[8] ~= '0' and ARGV[8] or ARGV[9]
  redis.call('PEXPIRE', KEYS[2], life)
  redis.call('PEXPIRE', KEYS[3], life)
  redis.call('PEXPIRE', KEYS[1], newer(life, ARGV[9]) and life or ARGV[9])
end

-- Whoever had read all that was there has read what it says itself.
local function mark()
  if not followed() or (ARGV[15] or '') == '' then return 0 end
  local at, of = string.match(redis.call('HGET', KEYS[5], ARGV[15]) or '', '^(%d+) (.*)$')
  if not at then return 0 end
  local read = of == r.epoch and tonumber(at) or 0
  if read < r.offset - 1 then return 0 end
  redis.call('HSET', KEYS[5], ARGV[15], text(r.offset) .. ' ' .. r.epoch)
  return 1
end

r.seq = r.seq + 1
local offset, epoch, marked = 0, '', 0
if count > 0 then
  store()
  marked = mark()
  offset, epoch = r.offset, r.epoch
else
  redis.call('HSET', KEYS[1], 'q', text(r.seq))
  if not r.new then redis.call('PEXPIRE', KEYS[1], QUIET, 'GT') end
end
if lasting then redis.call('SET', lasting, text(offset) .. ' ' .. epoch, 'PX', ARGV[12]) end
redis.call('PUBLISH', ARGV[1],
  'p ' .. r.epoch .. ' ' .. text(offset) .. ' ' .. text(r.seq) .. ' ' .. delta .. ' ' .. pub)
return {0, offset, epoch, r.seq, marked, caused and caused[1], caused and caused[2]}
