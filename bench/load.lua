-- Asks for one page after the other, none of them twice, looks at every reply, and says how it went as one line of JSON.
-- Behind "--" come the beginning of the products' names, and the length of a whole page in bytes.

local threads = {}

function setup(thread)
    threads[#threads + 1] = thread
end

function init(args)
    prefix, whole = args[1], tonumber(args[2])
    number, refused, partial = 0, 0, 0
end

function request()
    number = number + 1
    return "GET /page/" .. prefix .. number .. " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
end

function response(status, headers, body)
    if status ~= 200 then
        refused = refused + 1
    elseif #body ~= whole then
        partial = partial + 1
    end
end

local function total(name)
    local sum = 0
    for _, thread in ipairs(threads) do
        sum = sum + thread:get(name)
    end
    return sum
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\nbench: {"pages": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f, "errors": ' ..
        '{"refused": %d, "partial": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        total("refused"), total("partial"), errors.connect, errors.read, errors.write, errors.timeout
    ))
end
