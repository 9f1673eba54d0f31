-- Budgets: sliding windows with amounts, granted all or none on this server's clock. One call, one decision.
--
-- KEYS  1 the epoch, 2 the intent's grant, 3 and on: one window for each claim
-- ARGV  1 the word (reserve, peek, counts, give_back, rebuild), 2 the intent, or the new epoch, or nothing; then
--         reserve, peek, counts: for each claim one text, "limit window amount up_to counts_only ahead"
--         rebuild: what all our keys begin with, what grants and windows begin with; for each spend: its claim's key,
--         intent, amount, age, window
-- Times are whole microseconds. A window of 0 is for ever.
--
-- A window is a sorted set of "amount:intent", each scored by when it was spent. Its member "longest" is scored by minus
-- the longest window ever claimed on it: what is older than that is worth nothing to anybody.
-- A grant is a hash: amount, epoch, and for each window that it was taken from the member that stands there.
-- What a decision costs is the number of calls below and of texts made of numbers, so both are kept few: one argument a
-- claim, times only where something is refused, the whole grant at once.

local FOREVER = math.huge
local DAY = 24 * 3600 * 1000000

local function whole(number)
  return string.format('%.0f', number)
end

local function server_now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local now = server_now()
local word = ARGV[1]
local epoch = tonumber(string.match(redis.call('GET', KEYS[1]) or '', '^%d+$') or 0)

local function length_of(window)
  return window == 0 and FOREVER or window
end

local function since(window)
  return window == 0 and '(0' or '(' .. whole(now - window)
end

-- Of one digit almost always, which is read without a pattern.
local function amount_of(member)
  if string.byte(member, 2) == 58 then return string.byte(member) - 48 end
  return tonumber(string.match(member, '^%d+'))
end

-- How much still counts in a window.
local function spent(key, window)
  local used = 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, since(window), '+inf')) do used = used + amount_of(member) end
  return used
end

-- What still counts in a window, oldest first: {time, amount} each.
local function entries_of(key, window)
  local found, entries = redis.call('ZRANGEBYSCORE', key, since(window), '+inf', 'WITHSCORES'), {}
  for i = 1, #found, 2 do entries[#entries + 1] = {tonumber(found[i + 1]), amount_of(found[i])} end
  return entries
end

-- When `need` more will fit under the limit; '' for never. What is ahead counts as spent now.
local function frees(used, claim, need)
  if claim.window == 0 or need > claim.limit then return '' end
  local left = used
  for _, entry in ipairs(entries_of(claim.key, claim.window)) do
    left = left - entry[2]
    if left + need <= claim.limit then return whole(entry[1] + claim.window) end
  end
  return whole(now + claim.window)
end

local function lives_for(key, length)
  if length == FOREVER then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, whole(math.ceil(length / 1000))) end
end

-- Note a spend in its window. Its member also stands in the intent's grant, so that it can be given back.
local function spend(key, member, at, window)
  local known = -(tonumber(redis.call('ZSCORE', key, 'longest') or '') or 0)
  local longest = math.max(known, length_of(window))
  if longest == known then
    redis.call('ZADD', key, whole(at), member)
  else
    redis.call('ZADD', key, whole(at), member, longest == FOREVER and '-inf' or whole(-longest), 'longest')
  end
  if known > 0 and longest ~= FOREVER then redis.call('ZREMRANGEBYSCORE', key, '0', whole(now - longest)) end
  lives_for(key, longest)
end

local function claims_asked()
  local claims = {}
  for i = 3, #KEYS do
    local limit, window, amount, up_to, counts_only, ahead =
      string.match(ARGV[i], '^(%-?%d+) (%d+) (%d+) (%d) (%d) (%d+)$')
    claims[i - 2] = {
      key = KEYS[i], limit = tonumber(limit), window = tonumber(window), amount = tonumber(amount),
      up_to = up_to == '1', counts_only = counts_only == '1', ahead = tonumber(ahead),
    }
  end
  return claims
end

-- One action spends once on a key, whatever number of claims watch it: the largest of its amounts, under all their limits.
local function by_key(claims)
  local fixed, divisible, least, most = {}, {}, FOREVER, 0
  for _, claim in ipairs(claims) do
    if claim.up_to then
      divisible[claim.key] = true
      least = math.min(least, claim.amount)
    else
      fixed[claim.key] = math.max(fixed[claim.key] or 0, claim.amount)
    end
    most = math.max(most, claim.amount)
  end
  return fixed, divisible, least, most
end

-- The amount that every claim allows, or the first that allows none: (amount) or (nil, its number, used, when it frees).
local function decide(claims, fixed, divisible, least, most)
  local amount = least
  for number, claim in ipairs(claims) do
    if not claim.counts_only then
      local used = spent(claim.key, claim.window) + claim.ahead
      local rest = claim.limit - used
      if divisible[claim.key] then amount = math.min(amount, rest) end
      if (fixed[claim.key] or 0) > rest or amount < 1 then
        local need = math.max(fixed[claim.key] or 0, divisible[claim.key] and 1 or 0)
        return nil, number, used, frees(used, claim, need)
      end
    end
  end
  return amount == FOREVER and most or amount
end

local function reply(granted, amount, number, used, frees_at)
  return {granted, amount, epoch, number, used, frees_at, now}
end

local function take(claims, amount, fixed, divisible)
  local keep, grant, members = DAY, {'amount', whole(amount), 'epoch', whole(epoch)}, {}
  for i, claim in ipairs(claims) do
    local part = math.max(fixed[claim.key] or 0, divisible[claim.key] and amount or 0)
    if part > 0 then
      members[i] = whole(part) .. ':' .. ARGV[2]
      grant[#grant + 1] = claim.key
      grant[#grant + 1] = members[i]
    end
    keep = math.max(keep, length_of(claim.window))
  end
  -- First of all, for a server without memory to spare refuses here, before anything was changed.
  redis.call('HSET', KEYS[2], unpack(grant))
  lives_for(KEYS[2], keep)
  for i, claim in ipairs(claims) do
    if members[i] then spend(claim.key, members[i], now, claim.window) end
  end
end

local function reserve(commit)
  if epoch < 1 then
    epoch = 0
    return reply(0, 0, 0, 0, '')
  end
  if commit then
    local known = redis.call('HMGET', KEYS[2], 'amount', 'epoch')
    if known[1] then
      epoch = tonumber(known[2])
      return reply(1, tonumber(known[1]), 0, 0, '')
    end
  end
  local claims = claims_asked()
  local fixed, divisible, least, most = by_key(claims)
  local amount, number, used, frees_at = decide(claims, fixed, divisible, least, most)
  if not amount then return reply(0, 0, number, used, frees_at) end
  if commit then take(claims, amount, fixed, divisible) end
  return reply(1, amount, 0, 0, '')
end

local function counts()
  local answer = {}
  for _, claim in ipairs(claims_asked()) do
    local entries = entries_of(claim.key, claim.window)
    answer[#answer + 1] = spent(claim.key, claim.window)
    answer[#answer + 1] = #entries > 0 and claim.window > 0 and whole(entries[1][1] + claim.window) or ''
  end
  return answer
end

local function give_back()
  local grant = redis.call('HGETALL', KEYS[2])
  for i = 1, #grant, 2 do
    if grant[i] ~= 'amount' and grant[i] ~= 'epoch' then redis.call('ZREM', grant[i], grant[i + 1]) end
  end
  return redis.call('DEL', KEYS[2])
end

local function rebuild()
  for _, key in ipairs(redis.call('KEYS', ARGV[3] .. '*')) do redis.call('UNLINK', key) end
  local amounts, keeps = {}, {}
  for i = 6, #ARGV, 5 do
    local grant, amount, window = ARGV[4] .. ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 4])
    local key, member = ARGV[5] .. ARGV[i], whole(amount) .. ':' .. ARGV[i + 1]
    redis.call('HSET', grant, key, member)
    spend(key, member, now - tonumber(ARGV[i + 3]), window)
    amounts[grant] = math.max(amounts[grant] or 0, amount)
    keeps[grant] = math.max(keeps[grant] or DAY, length_of(window))
  end
  for grant, amount in pairs(amounts) do
    redis.call('HSET', grant, 'amount', whole(amount), 'epoch', ARGV[2])
    lives_for(grant, keeps[grant])
  end
  redis.call('SET', KEYS[1], ARGV[2])
  return {whole(now)}
end

if word == 'reserve' then return reserve(true) end
if word == 'peek' then return reserve(false) end
if word == 'counts' then return counts() end
if word == 'give_back' then return give_back() end
return rebuild()
