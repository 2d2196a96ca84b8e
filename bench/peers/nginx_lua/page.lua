-- Seven subrequests side by side; their replies are decoded, and encoded again as one page.

local cjson = require("cjson.safe")
local capture_multi = ngx.location.capture_multi

local PARTS = { "product", "price", "availability", "rating", "reviews", "related", "sellers" }

local page = {}

function page.answer()
    local id = string.match(ngx.var.uri, "^/page/([a-z0-9-]+)$")
    if not id then
        return ngx.exit(ngx.HTTP_NOT_FOUND)
    end
    local calls = {}
    for at, part in ipairs(PARTS) do
        calls[at] = { "/upstream/" .. part .. "/" .. id }
    end
    local replies = { capture_multi(calls) }
    local answer = {}
    for at, part in ipairs(PARTS) do
        local reply = replies[at]
        local item = reply.status == ngx.HTTP_OK and cjson.decode(reply.body)
        if not item then
            return ngx.exit(ngx.HTTP_BAD_GATEWAY)
        end
        answer[part] = item
    end
    local body = cjson.encode(answer)
    ngx.header.content_length = #body
    ngx.print(body)
end

return page
