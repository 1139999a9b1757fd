-- Endpoints that change without a reload. The same text in every release; nothing is put into it.
--
-- The table is lines, in the file beside the releases as over the socket:
--     upstream NAME
--     WEIGHT 0|1 ADDRESS        1 = a backup; ADDRESS is IP:PORT or unix:/PATH
-- In the file `key KEY` is before it, and `pending GENERATION` before a second table, which counts
-- for that generation alone.
local balancer = require "ngx.balancer"

local MOST = 10000
local RELEASE = debug.getinfo(1, "S").source:match("^@(.*)/lua/[^/]*$")
local dict = ngx.shared.hg_endpoints
local key
local known = {}
local seeded = false
local M = {}

-- The host and port of an address, or nil where it is not one.
local function split(address)
    if address:find("^unix:/[^%c]+$") then
        return address, 0
    end
    local host, port = address:match("^(%d+%.%d+%.%d+%.%d+):(%d+)$")
    if not host then
        host, port = address:match("^(%[[%x:.]+%]):(%d+)$")
    end
    port = tonumber(port)
    if host and port and port >= 1 and port <= 65535 then
        return host, port
    end
end

-- One endpoint, or nil where the line is not one.
local function endpoint(line)
    local weight, backup, address = line:match("^(%d+) ([01]) (.+)$")
    if not weight or #weight > 9 or tonumber(weight) < 1 then
        return nil
    end
    local host, port = split(address)
    if not host then
        return nil
    end
    return {
        address = address, host = host, port = port,
        weight = tonumber(weight), backup = backup == "1", current = 0,
    }
end

-- The endpoints of each upstream: names, and by name its lines; or nil and why not.
local function parse(text)
    local names, lines, last = {}, {}, nil
    for line in text:gmatch("([^\n]*)\n") do
        local name = line:match("^upstream ([^%c]+)$")
        if name then
            if lines[name] then
                return nil, "an upstream is there twice"
            end
            names[#names + 1], lines[name], last = name, {}, name
        elseif not last or not endpoint(line) then
            return nil, "a line is no endpoint"
        elseif #lines[last] >= MOST then
            return nil, "there are too many endpoints"
        else
            table.insert(lines[last], line)
        end
    end
    if text ~= "" and text:sub(-1) ~= "\n" then
        return nil, "the end is missing"
    end
    return names, lines
end

local function store(name, lines)
    local text = table.concat(lines, "\n")
    if dict:get("e:" .. name) == text then
        return true
    end
    -- First what workers read, then the number by which they notice.
    local done, why = dict:safe_set("e:" .. name, text)
    if not done then
        return nil, why
    end
    done, why = dict:safe_add("v:" .. name, 0)
    if not done and why ~= "exists" then
        return nil, why
    end
    return dict:incr("v:" .. name, 1)
end

local function read(path)
    local file, why = io.open(path, "rb")
    if not file then
        ngx.log(ngx.ERR, "endpoints: ", why)
        return ""
    end
    local text = file:read("*a")
    file:close()
    return text
end

-- The key and the lines of each upstream as the file has them for this generation; or nil and why.
local function of_file(text)
    local secret, rest = text:match("^key (%x+)(\n.*)$")
    if not secret then
        return nil, "there is no key"
    end
    local from, to, generation = rest:find("\npending (%d+)\n")
    local names, lines = parse(rest:sub(2, from))
    if not names or not from then
        return names and secret, lines
    end
    if read(RELEASE .. "/generation.conf"):match('default "?(%d+)') ~= generation then
        return secret, lines
    end
    local coming, theirs = parse(rest:sub(to + 1))
    if not coming then
        return nil, theirs
    end
    for _, name in ipairs(coming) do
        lines[name] = theirs[name]
    end
    return secret, lines
end

-- Reads the file into the table; in the master, at start and with every reload.
function M.load()
    -- <root>/current, which leads to <root>/releases/<name>.
    local path = RELEASE .. "/../../endpoints"
    local secret, lines = of_file(read(path))
    if not secret then
        ngx.log(ngx.ERR, "endpoints: ", path, ": ", lines)
        return
    end
    key = secret
    for _, one in ipairs(dict:get_keys(0)) do
        if not lines[one:sub(3)] then
            dict:delete(one)
        end
    end
    for name, own in pairs(lines) do
        local done, problem = store(name, own)
        if not done then
            ngx.log(ngx.ERR, "endpoints: ", problem)
        end
    end
end

local function answer(status, text)
    ngx.status = status
    ngx.header["Content-Type"] = "text/plain"
    ngx.print(text)
    return ngx.exit(ngx.HTTP_OK)
end

local function put()
    if not key or ngx.req.get_headers()["hg-key"] ~= key then
        return answer(403, "the key is another one\n")
    end
    ngx.req.read_body()
    local names, lines = parse(ngx.req.get_body_data() or "")
    if not names then
        return answer(400, lines .. "\n")
    end
    if #names ~= 1 then
        return answer(400, "it takes one upstream\n")
    end
    local done, why = store(names[1], lines[names[1]])
    if not done then
        return answer(507, why .. "\n")
    end
    return answer(200, "")
end

local function get()
    local found = {}
    for _, one in ipairs(dict:get_keys(0)) do
        if one:sub(1, 2) == "e:" then
            local text = dict:get(one)
            found[#found + 1] = "upstream " .. one:sub(3) .. "\n"
            found[#found + 1] = text ~= "" and text .. "\n" or ""
        end
    end
    return answer(200, table.concat(found))
end

-- Answers on the status socket: the whole table, or one upstream's endpoints from now on.
function M.serve()
    local method = ngx.req.get_method()
    if method == "PUT" then
        return put()
    elseif method == "GET" then
        return get()
    end
    return answer(405, "")
end

-- The endpoints of an upstream now; what stays keeps its place in the turn.
local function current(name)
    local one = known[name]
    if not one then
        one = {entry = "e:" .. name, number = "v:" .. name, first = {}, backups = {}, count = 0}
        known[name] = one
    end
    local version = dict:get(one.number)
    if version == one.version then
        return one
    end
    local turns = {}
    for _, list in ipairs({one.first, one.backups}) do
        for _, peer in ipairs(list) do
            turns[peer.address] = peer.current
        end
    end
    one.version, one.first, one.backups, one.count = version, {}, {}, 0
    for line in (dict:get(one.entry) or ""):gmatch("[^\n]+") do
        local peer = endpoint(line)
        if peer then
            peer.current = turns[peer.address] or 0
            local list = peer.backup and one.backups or one.first
            list[#list + 1] = peer
            one.count = one.count + 1
        end
    end
    return one
end

-- Smooth weighted round robin, as nginx's own, among those not tried.
local function in_turn(peers, tried)
    local best, total = nil, 0
    for i = 1, #peers do
        local peer = peers[i]
        if not tried[peer.address] then
            peer.current = peer.current + peer.weight
            total = total + peer.weight
            if not best or peer.current > best.current then
                best = peer
            end
        end
    end
    if best then
        best.current = best.current - total
    end
    return best
end

-- By weight and chance, among those not tried.
local function by_chance(peers, tried)
    if not seeded then -- each worker has the master's state
        math.randomseed(ngx.worker.pid() + ngx.now() * 1000)
        seeded = true
    end
    local total = 0
    for i = 1, #peers do
        total = total + (tried[peers[i].address] and 0 or peers[i].weight)
    end
    local at = math.random() * total
    for i = 1, #peers do
        if not tried[peers[i].address] then
            at = at - peers[i].weight
            if at < 0 then
                return peers[i]
            end
        end
    end
end

-- Chooses the endpoint of a request, and another one each time that it is asked again.
local function balance(name, choose)
    local one = current(name)
    if one.count == 0 then
        ngx.log(ngx.ERR, "upstream ", name, " has no endpoint")
        return ngx.exit(503) -- nginx makes 500 of it, and `error_page` 503 again
    end
    local tried = ngx.ctx.hg_tried
    if not tried then
        tried = {}
        ngx.ctx.hg_tried = tried
        if one.count > 1 then
            balancer.set_more_tries(one.count - 1)
        end
    end
    local peer = choose(one.first, tried) or choose(one.backups, tried)
    if not peer then
        -- A kept connection that had ended is one more try than there are endpoints.
        tried = {}
        ngx.ctx.hg_tried = tried
        peer = choose(one.first, tried) or choose(one.backups, tried)
    end
    tried[peer.address] = true
    local done, why = balancer.set_current_peer(peer.host, peer.port)
    if not done then
        ngx.log(ngx.ERR, "endpoint ", peer.address, ": ", why)
        return ngx.exit(503)
    end
end

function M.in_turn(name)
    return balance(name, in_turn)
end

function M.by_chance(name)
    return balance(name, by_chance)
end

return M
