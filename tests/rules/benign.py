"""Requests that honest people make, in which a hasty rule would find an attack."""

from __future__ import annotations

from itertools import product
from urllib.parse import quote, quote_plus

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)

PATHS = """
/
/index.html
/favicon.ico
/robots.txt
/sitemap.xml
/.well-known/security.txt
/.well-known/acme-challenge/Zx3_kf9-AbCdEf
/.well-known/openid-configuration
/.well-known/assetlinks.json
/static/js/app.3f2a91c0.js
/static/css/main.css
/static/js/vendors~main.8f2c.chunk.js
/assets/fonts/inter-v13-latin-700.woff2
/images/photo%20of%20me.jpg
/images/caf%C3%A9%20%26%20bar.png
/docs/v1.2.3/getting-started
/docs/sql/select-statement.html
/docs/union-and-intersect
/docs/environment/.index
/blog/2026/11/22/how-to-drop-a-table-and-live
/blog/union-select-committee-meets
/blog/scripts-for-everyone
/wiki/C%2B%2B
/wiki/AC%2FDC
/wiki/O%27Reilly
/wiki/Rock_%27n%27_Roll
/wiki/%D0%9C%D0%BE%D1%81%D0%BA%D0%B2%D0%B0
/wiki/%E6%9D%B1%E4%BA%AC
/wiki/Script_(disambiguation)
/wiki/Execute_(computing)
/wiki/Passwd
/wiki/Etc.
/user/o'brien/profile
/users/42/orders;sort=asc
/users/ada@example.com
/~ada/
/~ada/thesis.pdf
/files/report(final).pdf
/files/report%20v2..pdf
/files/a...b.txt
/files/backup-plan.html
/files/backups/2026
/files/old/index.html
/files/sql-course.pdf
/releases/1.0..1.1
/compare/main...feature/login
/api/v1/users/%7Bid%7D
/api/v2/items/123e4567-e89b-12d3-a456-426614174000
/api/batch/$metadata
/odata/Products(1)
/odata/Products('abc')/Name
/graphql
/admin/
/admin/login/
/wp-content/uploads/2026/11/a.jpg
/wp-login.php
/wp-json/wp/v2/posts
/xmlrpc
/git/
/project/git/guide
/environment
/env
/shop/dresses%2Cskirts
/shop/50%25-off
/q/how-do-i-union-two-sets
/select/from/menu
/id/1234/whoami
/bin/recycle
/usr/share/manual
/proc/edures
/cgi/hello
/search/cats%20and%20dogs
/tags/c%23
/tags/.net
/@ada/111222333
/!weekly
/r/de/comments/abc123/wer_ist_%22das%22/
/emoji/%F0%9F%98%80
/m/%28a%29%28b%29
/data.json.gz
/feed.xml
/package.tar.gz
/settings
/manager/team
/solr
/console
/info
/shell-scripts/intro
""".strip().split("\n")

SEARCHES = """
cats & dogs
cats and dogs
rock 'n' roll
O'Reilly and Sons
l'été à Paris
it's 5 or 6 o'clock
don't panic
mom's spaghetti; dad's salad
select a plan from the union
the union select committee
union select
trade union elections
drop off table
create table tennis club
insert into your calendar
update your profile and set a picture
delete from my list
order by phone
where can I order by credit card?
group by age
having fun
1 or 2 bedrooms
2 and 3 bedroom flats
price < 100 and price > 50
a = b
x = y or y = z
5 > 3
1 + 1 = 2
"quoted phrase" and more
"exact match" or "other match"
title:"war and peace" AND year:1869
project = "ABC" and status = open
status:open OR status:closed
is it true or false
yes, or no?
either/or
R&D
AT&T
Q&A
Tom & Jerry; Itchy & Scratchy
salt & pepper shakers
black & decker
buy 1; get 1 free
C++ vs C#
c#
F# & OCaml
#hashtag
#1 song
-- really?
em dash -- like this
well -- maybe
100% cotton
50% off!
10 % discount
what's up?
¿qué tal?
¡olé!
naïve café
Straße
東京 ラーメン
новости сегодня
مرحبا
😀 emoji 😀
a/b testing
TCP/IP
he/she/they
and/or
../
C:\\Users\\ada
\\o/
¯\\_(ツ)_/¯
:-) ;-)
<3
i <3 you
a < b > c
x<y
1<2
->
=>
<=>
</end>
{curly}
{{name}}
{{ user.name }}
${price}
$(document).ready
$100
$5 & up
£20–£30
[brackets]
array[0]
f(x) = x^2
(a)(b)
(a|b)
sin(x) and cos(x)
sleep apnea
sleep (8 hours)
how to sleep well
benchmark results
load file
exec summary
executive; director
eval of teachers
system of a down
alert system
confirm booking
prompt engineering
JavaScript: The Good Parts
javascript tutorial
script kiddie
on load
online = good
onion soup
one = two
onClick handler
document templates
window cleaning
cookie recipe
passwd
/etc
etc/
etc.
bin bag
curl hair
wget
cat food
cat | dog
php | python
ls swap
ping pong
nc state
chmod
kill bill
id card
whoami
cmd
bash brothers
python -m venv
pip install enfilade
git commit -m "it's done"
docker run -p 80:80
http://example.com/
https://example.com/?a=b&c=d
https://example.com/path#fragment
www.example.com
ada@example.com
Ada Lovelace <ada@example.com>
mailto:ada@example.com
tel:+49301234567
file name
data: the movie
2026-11-22T10:00:00+01:00
10:30
12/31/2026
1,000.50
1.234,56
192.0.2.1
::1
GET started
POST office
head & shoulders
trace my parcel
put options
HTTP/1.1
Set-Cookie
Location: Berlin
content-type
null
undefined
NaN
true
false
nothing or null
count
name
position
substring
ancestor: grandfather
child: two years
self
config
request
class
import
include
admin
admin's guide
root
user's manual
password reset
'single'
''
"
'
`code`
*
**bold**
_under_
~tilde~
a|b
a||b
!important
?
...
… and so on
%
%%
100%25
&amp;
&nbsp;
&lt;b&gt;
fish &amp; chips
""".strip().split("\n")
"""What people type into a field for searching."""

VALUES = """
eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U
iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
QUJDREVGRw==
d41d8cd98f00b204e9800998ecf8427e
{"a":1,"b":[2,3]}
{"name":"O'Brien","tags":["x","y"]}
{"filter":{"price":{"min":10,"max":20}}}
[{"id":1},{"id":2}]
{"query":"query { user(id: 1) { name } }"}
{"type":"FeatureCollection","features":[]}
1;2;3
name;id
a,b,c
-created_at
+name
name:asc,id:desc
fields=name,id
1..10
>=5
lt:100
[10 TO 20]
*:*
52.520008,13.404954
12.5%
#ff8800
rgb(255, 0, 0)
image/png
text/html; charset=utf-8
application/x-www-form-urlencoded
Europe/Berlin
en-US,en;q=0.9
/account/orders
/login?next=/cart
https://example.com/callback?code=abc&state=xyz
https://example.com/a%20b
app://open
myapp://oauth/callback
com.example.app:/oauth2redirect
urn:ietf:params:oauth:token-type:jwt
openid profile email
S256
E9Melhoa2OwvFrEMTJGuCHaoeK1t8URWbuGJSstw-cM
BEGIN:VCARD VERSION:3.0
Dear all, I'd like to select from the menu; please order by Friday. -- Ada
It's "great", isn't it? I'd say: yes & no (or both) - 50% of 'em.
Line one
The file is in C:/Projects/site.
He said: "Let's go" and left.
var x = 1; if (x < 2) { x++; }
for (int i = 0; i < 10; i++) sum += i;
def f(x): return x * 2
SELECT
print("hello")
a = [1, 2, 3]; b = a
$x = 5;
M 10 10 L 90 90 Z
^[a-z]+$
(?i)foo|bar
""".strip().split("\n")
"""What applications put into arguments."""

AGENTS = """
Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15
Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0
Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148
Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)
Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)
curl/8.11.0
Wget/1.24.5
python-requests/2.32.3
python-httpx/0.28.1
Go-http-client/2.0
okhttp/4.12.0
PostmanRuntime/7.42.0
Prometheus/2.55.0
kube-probe/1.31
Let's Encrypt validation server; +https://www.letsencrypt.org
facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)
Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)
""".strip().split("\n")

FIELDS = [
    ("referer", "https://www.google.com/"),
    ("referer", "https://shop.example.com/search?q=rock+%27n%27+roll&sort=asc"),
    ("referer", "https://example.com/a/../b"),
    ("cookie", "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; lang=de"),
    ("cookie", "_ga=GA1.1.1234567890.1700000000; _gid=GA1.2.987654321.1700000000; _fbp=fb.1.1700000000000.123456789"),
    ("cookie", "csrftoken=abcDEF123; sessionid=.eJxVjDsOwjAQBe_iGllZ_03JHz:1tABC:xyz-123_abc"),
    ("cookie", 'prefs={"theme":"dark","size":12}; consent=%7B%22analytics%22%3Atrue%7D'),
    ("cookie", "cart=%5B%7B%22id%22%3A1%2C%22n%22%3A2%7D%5D"),
    (
        "cookie",
        "OptanonConsent=isGpcEnabled=0&datestamp=Sat+Nov+22+2026+10%3A00%3A00+GMT%2B0100&groups=C0001%3A1%2CC0002%3A0",
    ),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("accept-language", "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7"),
    ("if-none-match", 'W/"65a1-18c2f0a4b80"'),
    ("range", "bytes=0-1023"),
    ("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_123"),
    ("authorization", "Basic YWRhOm9wZW4gc2VzYW1l"),
    ("content-type", "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW"),
    ("content-type", "application/json; charset=utf-8"),
    ("content-type", "text/plain; charset=iso-8859-1"),
    ("sec-ch-ua", '"Chromium";v="142", "Not_A Brand";v="99"'),
    ("x-forwarded-for", "192.0.2.1, 2001:db8::1"),
    ("x-requested-with", "XMLHttpRequest"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
]

Asked = tuple[str, list[tuple[str, str]]]


def requests() -> list[Asked]:
    """Targets with header fields."""
    plain = [("user-agent", CHROME)]
    made: list[Asked] = [(path, plain) for path in PATHS]
    made += [(f"/search?q={quote_plus(text)}", plain) for text in SEARCHES]
    made += [(f"/api?page=2&v={quote(text, safe='')}&lang=en", plain) for text in VALUES]
    made += [("/", [("user-agent", agent)]) for agent in AGENTS]
    made += [("/", [*plain, field]) for field in FIELDS]
    made += [(f"/list?{name}={value}", plain) for name, value in product(
        ("filter[name]", "user[email]", "ids[]", "a.b.c", "utf8", "_", "$top", "order[0][column]"), ("1", "%E2%9C%93", ""),
    )]  # fmt: skip
    return made
